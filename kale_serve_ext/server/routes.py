"""Which handler answers which path. ``openapi.py`` tells what each takes and gives."""

from __future__ import annotations

from .chat import ChatHandler
from .engines import EnginesHandler, NamespacesHandler
from .environments import EnvironmentHandler, EnvironmentsHandler, InstallationHandler
from .files import FilesHandler
from .handler import Handler, MissingHandler
from .health import HealthHandler, KernelsHandler, OpenApiHandler
from .models import ModelHandler, ModelsHandler, TransformersHandler
from .observe import EventsHandler, LogsHandler, MetricsHandler
from .plan import PlanHandler, RuntimesHandler
from .predict import PredictHandler
from .revisions import RevisionsHandler, RollbackHandler
from .services import ServiceHandler, ServicesHandler, UploadHandler
from .verify import VerifyHandler

NAME_SPACE = "kale-serve-ext"

# Engine, context, namespace and name, each percent-encoded.
_SERVICE = "services/" + "/".join([r"([^/]+)"] * 4)

_ROUTES: tuple[tuple[str, type[Handler]], ...] = (
    ("health", HealthHandler),
    (r"openapi\.json", OpenApiHandler),
    ("engines", EnginesHandler),
    ("engines/namespaces", NamespacesHandler),
    ("environments", EnvironmentsHandler),
    ("environments/([^/]+)", EnvironmentHandler),
    ("environments/([^/]+)/installation", InstallationHandler),
    ("models", ModelsHandler),
    (r"models/(\d+)", ModelHandler),
    ("transformers", TransformersHandler),
    ("files", FilesHandler),
    ("kernels", KernelsHandler),
    ("runtimes", RuntimesHandler),
    ("plan", PlanHandler),
    ("services", ServicesHandler),
    (_SERVICE, ServiceHandler),
    (f"{_SERVICE}/upload", UploadHandler),
    (f"{_SERVICE}/revisions", RevisionsHandler),
    (f"{_SERVICE}/rollback", RollbackHandler),
    (f"{_SERVICE}/logs", LogsHandler),
    (f"{_SERVICE}/events", EventsHandler),
    (f"{_SERVICE}/metrics", MetricsHandler),
    (f"{_SERVICE}/predict", PredictHandler),
    (f"{_SERVICE}/chat", ChatHandler),
    (f"{_SERVICE}/verify", VerifyHandler),
    (".*", MissingHandler),
)

HANDLERS = [(f"{NAME_SPACE}/{path}", handler) for path, handler in _ROUTES]
