"""The serving API of earlier Kale releases, kept for notebooks that use it (importable as ``kale.common.serveutils``).

Deprecated: log the model with ``Model(...).submit_artifact()`` and use ``kale.serve``. Errors are raised, not logged,
and waiting ends.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .errors import InvalidInputError
from .ml import JSON
from .notebook import READY_TIMEOUT, Endpoint
from .notebook import serve as serve_artifact

if TYPE_CHECKING:
    from .serving.outputs import Outputs
    from .serving.types import Service

__all__ = [
    "KFServer",
    "create_inference_service_from_mlmd",
    "get_inference_service",
    "monitor_inference_service",
    "serve",
]


class KFServer:
    """A running service. Use :class:`kale.serve.Endpoint` instead.

    Args:
        name: the InferenceService's name.
        spec: its manifest; read from the service when it is left out.
    """

    def __init__(self, name: str, spec: Mapping[str, JSON] | None = None) -> None:
        self.name = name
        self._spec = spec
        self._endpoint: Endpoint | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The service's Endpoint."""
        if self._endpoint is None:
            self._endpoint = Endpoint(self.name)
        return self._endpoint

    @property
    def spec(self) -> Mapping[str, JSON]:
        """The InferenceService's manifest."""
        return self._spec if self._spec is not None else self.endpoint.service.manifest

    def predict(self, data: str, tensor: bool = False) -> Outputs:
        """Send a request.

        Args:
            data: JSON text, such as ``json.dumps({"instances": […]})``.
            tensor: whether ``data`` is in protocol v2's form.
        """
        return self.endpoint.predict(data, protocol="v2" if tensor else None)

    def delete(self) -> None:
        """Remove the service."""
        self.endpoint.delete()

    def __repr__(self) -> str:
        return f"KFServer({self.name!r})"

    def _repr_html_(self) -> str:
        return self.endpoint._repr_html_()


def serve(
    model: object,
    name: str | None = None,
    wait: bool = True,
    predictor: str | None = None,
    preprocessing_fn: Callable[..., object] | None = None,
    preprocessing_assets: Mapping[str, object] | None = None,
    deploy_config: Mapping[str, object] | None = None,
) -> KFServer:
    """Log a model, with a transformer when a function is given, and serve it.

    Args:
        model: a model object of a supported framework.
        name: name of the service and of the logged model.
        wait: wait until it answers requests.
        predictor: the framework's name; checked against what the model is.
        preprocessing_fn: gets the whole request (``{"instances": …}``) and returns what the model is to get.
        preprocessing_assets: the globals that the function uses, by name.
        deploy_config: a ServeConfig as a dict.

    Raises:
        InvalidInputError: ``predictor`` is not what the model is, or the assets are not a dict.
    """
    from .artifacts import Model, Transformer

    _deprecated("serve(model)", "Model(model).submit_artifact() and kale.serve.serve(model_id)")
    if preprocessing_assets is not None and not isinstance(preprocessing_assets, Mapping):
        raise InvalidInputError("preprocessing_assets is a dict of names to values.", field="preprocessing_assets")
    logged = Model(model, name=name, model_type=predictor)
    logged.submit_artifact()
    transformer: Transformer | None = None
    if preprocessing_fn is not None:
        transformer = Transformer(
            name=f"{name or logged.name}-transformer",
            preprocess=preprocessing_fn,
            transformer_assets=dict(preprocessing_assets or {}),
        )
        transformer.submit_artifact()
    made = serve_artifact(logged, transformer, name=name, serve_config=deploy_config, wait=wait)
    return KFServer(made.name)


def create_inference_service_from_mlmd(artifact_id: int, deploy_config: Mapping[str, object] | None = None) -> KFServer:
    """Serve a logged model."""
    _deprecated("create_inference_service_from_mlmd(id)", "kale.serve.serve(id)")
    return KFServer(serve_artifact(artifact_id, serve_config=deploy_config).name)


def get_inference_service(name: str) -> Mapping[str, JSON]:
    """The InferenceService's manifest.

    Raises:
        NotFoundError: no such service.
    """
    _deprecated("get_inference_service(name)", "kale.serve.Endpoint(name)")
    return Endpoint(name).service.manifest


def monitor_inference_service(name: str, timeout: float = READY_TIMEOUT) -> Service:
    """Wait until the service answers requests, showing its progress.

    Raises:
        ServeFailedError: it failed.
        DeadlineExceededError: it is not ready after ``timeout`` seconds.
    """
    _deprecated("monitor_inference_service(name)", "kale.serve.Endpoint(name).wait()")
    return Endpoint(name).wait(timeout).service


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"kale.common.serveutils.{old} is deprecated; use {new}.", DeprecationWarning, stacklevel=3)
