"""``Model``: a trained model, from the object itself or from its saved file."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from ..config import Settings
from ..entities import MODEL, Artifact
from ..errors import InvalidInputError
from ..formats import Format, by_name
from ..ml import Signature
from ..modelmeta import Recorded
from ..source.own import CODE, modules_in
from ..sync import run
from .base import Loggable, Written, local_path
from .dataset import Dataset
from .meta import with_meta
from .opening import not_opened, open_written, with_opened
from .recording import MOST_ROWS, UnrecordableError, record, record_tensors
from .saved import CUSTOM, format_of, name_of, packages_of, path_written
from .signature import complete
from .transformer import Transformer


class Model(Loggable):
    """A model to log.

    Args:
        model: a fitted scikit-learn estimator or Pipeline, one of XGBoost, LightGBM or CatBoost, an ONNX
            ``ModelProto``, a PyTorch module (with an ``example``), a Keras model or ``tf.Module``, a pipeline of
            transformers or its pair of model and tokenizer, a subclass of ``kserve.Model``, or a function that takes
            and returns arrays; may be None where ``artifact_uri`` is given.
        name: 1 to 200 printable characters; the model's class name when left out.
        description: for people.
        version: such as ``"1.0.0"``; the next integer when left out.
        author: for people.
        signature: the input's and output's shapes; what it leaves out is taken from the example and the model.
        tags: text to text.
        model_type: the format's name (``sklearn``, ``xgboost``, ``lightgbm``, ``onnx``, ``function``, ``custom``);
            detected from the model by default.
        artifact_uri: path of a model that is saved already: a file, or a folder.
        example: some rows of the model's input, for column names, dtypes and the sample of the test form; of a model
            that takes tensors by name a dict of name to array, the batch first. A function is run on it, which tells
            its outputs.
        dataset: the data that it was trained on; submitted too where it is not yet, and linked to the model.
        transformer: a submitted Transformer that it was made with, linked to the model.
        requirements: for custom code given as a class, and for a function: lines of a requirements file.
        record_rows: of the example or the dataset so many rows are kept with what the model answers to them, to be
            compared with what it answers when it is served; 0 keeps none, None as ``KALE_SERVE_RECORDED_ROWS`` says.

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
        record_rows: int | None = None,
    ) -> None:
        self.model = model
        self.signature = signature
        self.model_type = model_type
        self.artifact_uri = artifact_uri
        self.example = example
        self.dataset = dataset
        self.transformer = transformer
        self.requirements = requirements
        self.record_rows = record_rows
        super().__init__(name, description, version, author, tags)

    def _check_fields(self) -> None:
        super()._check_fields()
        if self.signature is not None and not isinstance(self.signature, Signature):
            raise InvalidInputError(
                f"The signature is a {type(self.signature).__name__}.",
                hint="Pass a kale.ml.Signature.",
                field="signature",
            )
        if self.model_type is not None:
            by_name(self.model_type)
        if isinstance(self.requirements, str) or not all(isinstance(line, str) for line in self.requirements):
            raise InvalidInputError(
                "requirements is not a list of strings.",
                hint='Write requirements=["torch>=2"].',
                field="requirements",
            )
        rows: object = self.record_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= MOST_ROWS):
            raise InvalidInputError(
                f"record_rows is {rows!r:.100}.",
                hint=f"Pass a whole number from 0 to {MOST_ROWS}; 0 keeps no rows.",
                field="record_rows",
            )
        if self.transformer is not None and not self.transformer.id:
            raise InvalidInputError(
                "The transformer has not been submitted.",
                hint="Call its submit_artifact() first.",
                field="transformer",
            )

    def _write(self, workspace: Path) -> Written:
        prepared = self.model
        if self.artifact_uri is not None:
            path = local_path(self.artifact_uri, "artifact_uri")
            file_name = name_of(path)
            default = file_name if self.model is None else _class_name(self.model)
            written = path_written(path, self._record(default), self.model_type or "", self.model)
            if self.model is None and written.record.format != CUSTOM and written.opens:
                opened = run(open_written(written, sys.executable))
                if not opened.ok and opened.missing and not by_name(written.record.format).needs_opening:
                    written = not_opened(written, opened.message)
                else:
                    written = with_opened(written, opened, sys.executable)
        elif self.model is not None:
            format_ = format_of(self.model, self.model_type)
            record = self._record(self.name or format_.default_name(self.model))
            prepared = format_.prepared(self.model, self.signature, self.example)
            written = self._object_written(format_, prepared, record, workspace / "model")
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
        recorded = self._recorded(prepared, written.record, features)
        details = {**written.record.details, **({"recorded_rows": len(recorded.rows)} if recorded else {})}
        record = replace(written.record, signature=signature, details=details)
        return replace(with_meta(written, record, recorded), inputs=inputs)

    def _recorded(self, prepared: object, logged: Artifact, features: object) -> Recorded | None:
        """Rows of the example, or of the training data where the model takes them, with the model's answers."""
        count = Settings.from_environ().recorded_rows if self.record_rows is None else self.record_rows
        methods = logged.details.get("methods")
        if self.model is None or not count:
            return None
        data = features if self.example is None else self.example
        try:
            if data is not None and (asked := by_name(logged.format).tensor_model(prepared)):
                return record_tensors(asked, data, count)
            if not isinstance(methods, list) or not methods:
                return None
            return record(self.model, str(methods[0]), data, count)
        except Exception as error:
            if self.example is not None:
                refused = f"the model does not take its example. {type(error).__name__}: {error}"
                reason = error if isinstance(error, UnrecordableError) else refused
                warnings.warn(f"No rows are recorded: {reason}", stacklevel=4)
            # The training data may be from before what was done to it outside of the model.
            return None

    def _object_written(self, format_: Format, model: object, record: Artifact, folder: Path) -> Written:
        folder.mkdir()
        format_.save(model, folder)
        if self.requirements:
            (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in self.requirements))
        own = list(modules_in(folder / CODE))
        record = replace(
            record,
            format=format_.name,
            signature=format_.signature(model),
            details={
                **format_.details(model),
                **format_.path_details(folder),
                **({"own_code": own} if own else {}),
            },
        )
        return Written(record, folder, packages_of(format_, model, folder), adopt=True)

    def _data(self) -> tuple[object, object, tuple[int, ...]]:
        inputs = [] if self.transformer is None else [self.transformer.id or 0]
        if self.dataset is None:
            return None, None, tuple(inputs)
        if not self.dataset.id:
            self.dataset.submit_artifact()
        return self.dataset.features, self.dataset.targets, (self.dataset.id or 0, *inputs)


def _class_name(model: object) -> str:
    return (model if isinstance(model, type) else type(model)).__name__
