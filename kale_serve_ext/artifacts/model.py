"""``Model``: a trained model, from the object itself or from its saved file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from ..errors import InvalidInputError, NotFoundError
from ..formats import Format, by_name, detect, detect_path
from ..formats.custom import code_packages
from ..ml import Signature
from ..records import MODEL, Artifact
from .base import Loggable, Written, local_path
from .dataset import Dataset
from .signature import complete
from .transformer import Transformer


class Model(Loggable):
    """A model to log.

    Args:
        model: a fitted scikit-learn estimator or Pipeline, an XGBoost or LightGBM Booster or estimator, or a subclass
            of ``kserve.Model``; may be None where ``artifact_uri`` is given.
        name: 1 to 200 printable characters; the model's class name when left out.
        description: for people.
        version: such as ``"1.0.0"``; the next integer when left out.
        author: for people.
        signature: the input's and output's shapes; what it leaves out is taken from the example and the model.
        tags: text to text.
        model_type: the format's name (``sklearn``, ``xgboost``, ``lightgbm``, ``custom``); told by the model when left
            out.
        artifact_uri: path of a model that is saved already: a file, or a folder.
        example: some rows of the model's input, for column names, dtypes and the sample of the test form.
        dataset: the data that it was trained on; submitted too where it is not yet, and linked to the model.
        transformer: a submitted Transformer that it was made with, linked to the model.
        requirements: for custom code given as a class: lines of a requirements file.

    Raises:
        InvalidNameError: a name or version that cannot be used.
        InvalidInputError: another argument that cannot be used.
    """

    TYPE = MODEL

    def __init__(
        self,
        model: object = None,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        author: str | None = None,
        signature: Signature | None = None,
        tags: Mapping[str, str] | None = None,
        model_type: str | None = None,
        artifact_uri: str | PathLike[str] | None = None,
        *,
        example: object = None,
        dataset: Dataset | None = None,
        transformer: Transformer | None = None,
        requirements: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.signature = signature
        self.model_type = model_type
        self.artifact_uri = artifact_uri
        self.example = example
        self.dataset = dataset
        self.transformer = transformer
        self.requirements = requirements
        super().__init__(name, description, version, author, tags)

    def _check_fields(self) -> None:
        super()._check_fields()
        if self.signature is not None and not isinstance(self.signature, Signature):
            raise InvalidInputError(
                f"The signature is a {type(self.signature).__name__}.",
                hint="Give a kale.ml.Signature.",
                field="signature",
            )
        if self.model_type is not None:
            by_name(self.model_type)
        if isinstance(self.requirements, str) or not all(isinstance(line, str) for line in self.requirements):
            raise InvalidInputError(
                "The requirements are not a list of texts.",
                hint='Write requirements=["torch>=2"].',
                field="requirements",
            )
        if self.transformer is not None and not self.transformer.id:
            raise InvalidInputError(
                "The transformer is not submitted yet.",
                hint="Call its submit_artifact() first.",
                field="transformer",
            )

    def _write(self, stage: Path) -> Written:
        if self.artifact_uri is not None:
            path = local_path(self.artifact_uri, "artifact_uri")
            file_name = name_of(path)
            default = file_name if self.model is None else _class_name(self.model)
            written = path_written(path, self._record(default), self.model_type or "", self.model)
        elif self.model is not None:
            written = self._object_written(self.model, stage / "model")
        else:
            raise InvalidInputError(
                "There is no model to log.",
                hint="Pass the model object, or the path of a saved one as artifact_uri.",
                field="model",
            )
        features, targets, inputs = self._data()
        signature = complete(
            self.signature, written.record.signature, example=self.example, features=features, targets=targets
        )
        return replace(written, record=replace(written.record, signature=signature), inputs=inputs)

    def _object_written(self, model: object, folder: Path) -> Written:
        format_ = _format_of(model, self.model_type)
        folder.mkdir()
        format_.save(model, folder)
        if self.requirements:
            (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in self.requirements))
        record = replace(
            self._record(_class_name(model)),
            format=format_.name,
            signature=format_.signature(model),
            details={**format_.details(model), **format_.path_details(folder)},
        )
        return Written(record, folder, _packages(format_, model, folder), adopt=True)

    def _data(self) -> tuple[object, object, tuple[int, ...]]:
        inputs = [] if self.transformer is None else [self.transformer.id or 0]
        if self.dataset is None:
            return None, None, tuple(inputs)
        if not self.dataset.id:
            self.dataset.submit_artifact()
        return self.dataset.features, self.dataset.targets, (self.dataset.id or 0, *inputs)


def path_written(path: Path, record: Artifact, model_type: str, model: object = None) -> Written:
    """A saved model, made ready for the store by its names and first bytes alone: nothing in it is loaded.

    Args:
        path: the file or folder; it exists.
        record: the common fields.
        model_type: a format's name; told by the files when empty.
        model: the object that was saved there, where the caller has it: it tells the signature and its class.

    Raises:
        UnsupportedModelError: no format knows it.
        InvalidInputError: its layout is not what the format's server needs.
    """
    format_ = by_name(model_type) if model_type else detect_path(path)
    if model is not None and not format_.matches(model):
        format_ = _format_of(model, model_type or format_.name)
    if not (path.is_file() and format_.matches_path(path)) and (problems := format_.check(path)):
        raise InvalidInputError(
            f"{path} is not a {format_.title} model as it would be served. {' '.join(problems)}",
            hint="Point to the folder or file that has just the model.",
            field="path",
        )
    return Written(
        replace(
            record,
            format=format_.name,
            signature=format_.path_signature(path) if model is None else format_.signature(model),
            details={**({} if model is None else format_.details(model)), **format_.path_details(path)},
        ),
        path,
        _packages(format_, model, path.parent if path.is_file() else path),
        file_name=format_.file_name(path) if path.is_file() else "",
    )


def name_of(path: Path) -> str:
    """The name that an artifact gets from its path: without the ending, where it is a file.

    Raises:
        NotFoundError: nothing is there.
        InvalidInputError: it is no path at all.
    """
    try:
        real = path.resolve(strict=True)
        return real.stem if real.is_file() else real.name
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file or folder {path}.", hint="Check the path.", field="path") from error
    except (OSError, RuntimeError, ValueError) as error:  # too long; a loop of links; a NUL byte
        raise InvalidInputError("The path cannot be used.", hint="Check it.", field="path") from error


def _class_name(model: object) -> str:
    return (model if isinstance(model, type) else type(model)).__name__


def _packages(format_: Format, model: object, folder: Path) -> tuple[str, ...]:
    return code_packages(folder) if format_.name == "custom" else format_.packages(model)


def _format_of(model: object, model_type: str | None) -> Format:
    found = detect(model)
    if model_type and by_name(model_type) is not found:
        raise InvalidInputError(
            f"The model is of {found.title}, not of {by_name(model_type).title}.",
            hint="Leave model_type out: the model itself tells.",
            field="model_type",
        )
    return found
