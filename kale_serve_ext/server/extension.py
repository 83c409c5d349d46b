"""The Jupyter server extension: its settings, its handlers and its background work."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jupyter_events.logger import EventLogger
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Enum, Float, Integer, Unicode, default

from ..config import LOCAL_ACCESS, Settings
from ..runner.budget import Budget
from .backends import Backends
from .installations import Installations
from .routes import HANDLERS
from .uploads import Uploads
from .watcher import SCHEMAS, emit_change, emit_environment, emit_upload, watch

if TYPE_CHECKING:
    from .app import App


class KaleServeApp(ExtensionApp):
    """Serve models with KServe from JupyterLab.

    Traits that a ``KALE_SERVE_*`` variable can set too take it as their default. What they say is put into the
    environment of the server, so that the kernels it starts use the same store, metadata and engine.
    """

    name = "kale_serve_ext"
    description = "Serve models with KServe from JupyterLab."
    load_other_extensions = True

    data_dir = Unicode(
        help="""Folder with snapshots, metadata and the state of local services.
        By default `kale-serve-ext` in Jupyter's data directory."""
    ).tag(config=True)
    runtime_dir = Unicode(
        help="""Folder for sockets and process ids, private to the user. By default one under `XDG_RUNTIME_DIR` or the
        temporary folder. Its path must be short: a socket's may have 107 bytes."""
    ).tag(config=True)
    store = Unicode(
        help="""Where snapshots of models go: `file:` (in the data directory) or `file:///some/folder`."""
    ).tag(config=True)
    metadata = Unicode(
        help="""Which ML Metadata to use: `embedded` starts an engine of the user's own on demand,
        `grpc://HOST:PORT` is a server that runs already."""
    ).tag(config=True)
    metadata_python = Unicode(
        help="""A Python interpreter that has `ml-metadata` installed, for the embedded engine. By default an
        environment is made for it on first use."""
    ).tag(config=True)
    metadata_timeout = Float(min=0.1, max=3599, help="""Seconds that one metadata call may take.""").tag(config=True)
    metadata_idle = Float(
        min=1,
        max=3599,
        help="""Seconds without a call after which the embedded engine ends; the next call starts it
        again.""",
    ).tag(config=True)
    recorded_rows = Integer(
        min=0,
        max=1000,
        help="""Rows of a model's example or dataset that are kept with the model's answers to them when it is logged,
        to be compared when it is served; 0 keeps none.""",
    ).tag(config=True)
    engine = Unicode(
        help="""Where services run: `local`, as processes on this machine, or `cluster`, by KServe in Kubernetes.
        By default what was chosen in the panel; where nothing was, the cluster of the pod or of the kubeconfig's
        context, if it has InferenceServices, and this machine if not."""
    ).tag(config=True)
    namespace = Unicode(
        help="""Namespace of new services. By default `default` on this machine and the context's own in a cluster."""
    ).tag(config=True)
    context = Unicode(
        help="""Which context of the kubeconfig the cluster engine uses, `in-cluster` for the pod's own service
        account. By default the current one."""
    ).tag(config=True)
    kubeconfig = Unicode(help="""Path of the kubeconfig. By default it is found as `kubectl` does.""").tag(config=True)
    cluster_image = Unicode(
        help="""The image that runs transformers, custom predictors and, where KServe's own would answer otherwise,
        models in a cluster, made from this package's wheel with the models' libraries. By default
        `kale-serve-ext/transformer` and `kale-serve-ext/predictor` with this package's version."""
    ).tag(config=True)
    cluster_storage = Unicode(
        help="""How pods get the files of artifacts that are on this machine. By default from the claim that they lie
        on in a notebook's pod, else by `upload:`, which makes a claim for each content and fills it through a
        short-lived pod; `upload:STORAGE_CLASS` names its class. `pvc://CLAIM/FOLDER` fills a claim that is there.
        `claim:` mounts the notebook's own claim, `clone:` a clone of it, `snapshot:` or `snapshot:SNAPSHOT_CLASS` one
        made from a VolumeSnapshot; these two also copy the claim of an artifact that is at `pvc://`.
        `s3://BUCKET/FOLDER?endpoint=http://HOST:PORT` uploads to S3, with the credentials that AWS's own clients find;
        they are kept in a Secret beside the services."""
    ).tag(config=True)
    cluster_ingress = Unicode(
        help="""Base address of the cluster's gateway, such as `https://gateway.example.com`: requests then go there
        with the service's external host name, instead of through the API server."""
    ).tag(config=True)
    local_access = Enum(
        LOCAL_ACCESS,
        help="""Who may send requests to the services of this machine: `user`, the same user and root, or `machine`,
        every user. Where the system does not tell whose a connection is (it does on Linux), it is `machine` always.
        Processes that run keep to what was set when they were started: pause and resume the service. Programs that
        have neither this setting nor `local_hostnames` leave a service's as they are.""",
    ).tag(config=True)
    local_hostnames = Unicode(
        help="""Host names, with commas between them, under which services of this machine are asked beside `localhost`
        and `127.0.0.1`, such as that of a JupyterHub whose jupyter-server-proxy leads to them. Others are refused:
        a web page could give its own name this machine's loopback address."""
    ).tag(config=True)
    cluster_ingress_token_file = Unicode(
        help="""A file with the bearer token for the gateway, read for each request."""
    ).tag(config=True)

    max_services = Integer(
        0, min=0, help="""How many services the panel may have at a time; 0 is without limit."""
    ).tag(config=True)
    max_request_bytes = Integer(
        16 * 2**20, min=1024, help="""Largest body of a request, such as a test request's data, in bytes."""
    ).tag(config=True)
    max_body_bytes = Integer(
        128 * 2**20,
        min=1024,
        help="""Bytes that the bodies of all requests under way may have together; more are answered with status 503 and
        `Retry-After`.""",
    ).tag(config=True)
    max_log_bytes = Integer(16 * 2**20, min=1024, help="""Most bytes of a log that one request is given.""").tag(
        config=True
    )
    max_log_streams = Integer(32, min=1, help="""How many logs can be read at a time.""").tag(config=True)
    max_chats = Integer(32, min=1, help="""How many test conversations can be answered at a time.""").tag(config=True)
    request_timeout = Float(
        30.0, min=0.1, help="""Seconds that a request waits for its backend before it fails with status 504."""
    ).tag(config=True)
    predict_timeout = Float(60.0, min=0.1, help="""The same, in seconds, for a test request.""").tag(config=True)
    action_timeout = Float(
        300.0,
        min=0.1,
        help="""The same, in seconds, for what copies files or starts and stops processes: registering
        a model, creating, changing and deleting a service. An upload to a cluster may take longer: it goes on when
        the request has been answered.""",
    ).tag(config=True)
    chat_timeout = Float(
        3600.0,
        min=0.1,
        help="""Seconds that the answer of a test conversation may take; one that takes longer is cut off with an
        error.""",
    ).tag(config=True)
    follow_timeout = Float(
        3600.0, min=0.1, help="""Seconds after which a log that is followed ends; the panel then asks again."""
    ).tag(config=True)
    live_status = Bool(
        True,
        help="""Watch the engine and tell browsers of changes at once. Without it they see them when they next
        ask.""",
    ).tag(config=True)

    _tasks: tuple[asyncio.Task[None], ...] = ()
    chats = 0
    """How many conversations are being answered now."""
    log_streams = 0
    """How many logs are being read now."""

    @default("data_dir")
    def _default_data_dir(self) -> str:
        return str(Settings.from_environ().data_dir)

    @default("metadata_timeout")
    def _default_metadata_timeout(self) -> float:
        return Settings.from_environ().metadata_timeout

    @default("metadata_idle")
    def _default_metadata_idle(self) -> float:
        return Settings.from_environ().metadata_idle

    @default("recorded_rows")
    def _default_recorded_rows(self) -> int:
        return Settings.from_environ().recorded_rows

    @default("runtime_dir")
    def _default_runtime_dir(self) -> str:
        return Settings.from_environ().runtime_dir

    @default("store")
    def _default_store(self) -> str:
        return Settings.from_environ().store

    @default("metadata")
    def _default_metadata(self) -> str:
        return Settings.from_environ().metadata

    @default("metadata_python")
    def _default_metadata_python(self) -> str:
        return Settings.from_environ().metadata_python

    @default("engine")
    def _default_engine(self) -> str:
        return Settings.from_environ().engine

    @default("namespace")
    def _default_namespace(self) -> str:
        return Settings.from_environ().namespace

    @default("context")
    def _default_context(self) -> str:
        return Settings.from_environ().context

    @default("kubeconfig")
    def _default_kubeconfig(self) -> str:
        return Settings.from_environ().kubeconfig

    @default("cluster_image")
    def _default_cluster_image(self) -> str:
        return Settings.from_environ().cluster_image

    @default("cluster_storage")
    def _default_cluster_storage(self) -> str:
        return Settings.from_environ().cluster_storage

    @default("cluster_ingress")
    def _default_cluster_ingress(self) -> str:
        return Settings.from_environ().cluster_ingress

    @default("local_access")
    def _default_local_access(self) -> str:
        return Settings.from_environ().local_access or LOCAL_ACCESS[0]

    @default("local_hostnames")
    def _default_local_hostnames(self) -> str:
        return Settings.from_environ().local_hostnames

    @default("cluster_ingress_token_file")
    def _default_cluster_ingress_token_file(self) -> str:
        return Settings.from_environ().cluster_ingress_token_file

    @property
    def server(self) -> ServerApp:
        """The Jupyter server that this extends; there from the moment that it is linked to it."""
        return cast("ServerApp", self.serverapp)

    @property
    def events(self) -> EventLogger:
        """The server's event bus."""
        return cast("EventLogger", self.server.event_logger)

    @property
    def root_dir(self) -> str:
        """The folder that the file browser shows; empty where the server's files are not on this disk."""
        return str(getattr(self.server.contents_manager, "root_dir", ""))

    @property
    def allow_hidden(self) -> bool:
        """Whether the file browser may show hidden files."""
        return bool(getattr(self.server.contents_manager, "allow_hidden", False))

    def initialize_settings(self) -> None:
        settings = Settings(
            data_dir=Path(self.data_dir).expanduser().absolute(),
            runtime_dir=self.runtime_dir,
            store=self.store,
            metadata=self.metadata,
            metadata_python=self.metadata_python,
            metadata_timeout=self.metadata_timeout,
            metadata_idle=self.metadata_idle,
            recorded_rows=self.recorded_rows,
            engine=self.engine,
            namespace=self.namespace,
            context=self.context,
            kubeconfig=self.kubeconfig,
            cluster_image=self.cluster_image,
            cluster_storage=self.cluster_storage,
            cluster_ingress=self.cluster_ingress,
            cluster_ingress_token_file=self.cluster_ingress_token_file,
            local_access=self.local_access,
            local_hostnames=self.local_hostnames,
        )
        os.environ.update(settings.to_environ())
        self.uploads = Uploads(
            lambda changed: emit_change(self.events, changed), lambda *told: emit_upload(self.events, *told), self.log
        )
        self.installations = Installations(
            settings, lambda key, state: emit_environment(self.events, key, state), self.log
        )
        self.backends = Backends(settings, self.log, grace=self.action_timeout, until_idle=self.uploads.until_none)
        self.bodies = Budget(self.max_body_bytes)
        self.creating = asyncio.Lock()

    def initialize_handlers(self) -> None:
        self.handlers.extend(HANDLERS)

    def initialize(self, argv: list[str] | None = None) -> None:
        super().initialize()  # type: ignore[no-untyped-call]
        for schema in SCHEMAS:
            self.events.register_event_schema(schema)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        if self.live_status:
            work = watch(self.backends, self.events, self.log)
            self._tasks = (asyncio.create_task(work),)

    async def stop_extension(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.installations.close()
        await self.uploads.close()
        await self.backends.close()


def _seen_by_handlers(app: KaleServeApp) -> App:
    """For the type checker: the application has all that its handlers ask of it."""
    return app
