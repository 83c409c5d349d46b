"""``%load_ext kale_serve_ext``: serving from the command line of a notebook cell.

=====================  ==============================================================
``%serve MODEL``       serve a logged model (a variable, an id, or a name)
``%services``          the services, as they are now
``%service_logs NAME`` the last lines of a service's log
``%%transformer NAME`` log the ``preprocess`` and ``postprocess`` that the cell defines
``%%predict NAME``     send the cell (JSON or a Python expression) to a service
=====================  ==============================================================
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from inspect import signature
from types import FunctionType
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from .errors import KaleServeError
from .ml import JSON
from .notebook import Endpoint, serve, services

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from .artifacts import Transformer
    from .serving.outputs import Outputs
    from .serving.types import Service

LINE = 100
"""Characters of an answer that go on one line."""
NAMED = ("service_logs", "predict")
"""The magics whose first word is a service's name."""


@dataclass(frozen=True)
class ServiceTable:
    """What ``%services`` shows."""

    items: tuple[Service, ...]

    def __repr__(self) -> str:
        if not self.items:
            return "No services yet: create one with %serve."
        rows = [("NAME", "PHASE", "MODEL", "URL"), *((s.ref.name, s.phase, _model(s), s.url) for s in self.items)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from .display import phase_html

        if not self.items:
            return f"<p>{escape(repr(self))}</p>"
        head = "".join(f'<th scope="col">{title}</th>' for title in ("Name", "Phase", "Reason", "Model", "URL"))
        body = "".join(
            f"<tr><td>{escape(s.ref.name)}</td><td>{phase_html(s.phase)}</td><td>{escape(s.reason)}</td>"
            f"<td>{escape(_model(s))}</td><td>{escape(s.url)}</td></tr>"
            for s in self.items
        )
        return f'<table class="kale-serve-services"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


@dataclass(frozen=True)
class Answer:
    """What ``%%predict`` shows; ``value`` is the parsed answer."""

    value: Outputs

    def __repr__(self) -> str:
        if not isinstance(self.value, Mapping | str | int | float | list | None) or _has_arrays(self.value):
            return repr(self.value)
        # Not as application/json, which JupyterLab shows as a folded tree.
        line = json.dumps(self.value, ensure_ascii=False)
        return line if len(line) <= LINE else json.dumps(self.value, indent=2, ensure_ascii=False)


def _has_arrays(value: Outputs) -> bool:
    """Whether this is the answer of a model with several named outputs."""
    return isinstance(value, Mapping) and any(hasattr(item, "dtype") for item in value.values())


@magics_class
class ServeMagics(Magics):
    """The magics."""

    @magic_arguments()
    @argument("model", help="A submitted Model, its id, or a logged model's name.")
    @argument("-t", "--transformer", default="", help="A submitted Transformer, its id, or a logged one's name.")
    @argument("-n", "--name", default=None, help="The service's name; derived from the model's by default.")
    @argument("-r", "--runtime", default=None, help="A runtime's name; the best match by default.")
    @argument("-p", "--protocol", choices=("v1", "v2"), default=None, help="The protocol; v1 by default.")
    @argument("-m", "--method", default=None, help="The estimator's method to call; predict by default.")
    @argument("--verify", choices=("warn", "require", "off"), default=None, help="How recorded rows are checked.")
    @argument("-c", "--config", default="", help="A ServeConfig or dict: a variable's name or a Python expression.")
    @argument(
        "--remove",
        action="append",
        choices=("transformer", "config"),
        default=None,
        help="Remove this from the existing service.",
    )
    @argument("--timeout", type=float, default=600.0, help="Seconds to wait for it to become ready.")
    @argument("--no-wait", action="store_true", help="Do not wait for it to become ready.")
    @line_magic("serve")
    def serve(self, line: str) -> Endpoint | None:
        """Serve a logged model."""
        given = self._parse(self.serve, line)
        if given is None:
            return None
        config = self._value(given.config) if given.config else None
        with _usage():
            return serve(
                self._artifact_id(given.model, "kale.Model"),
                self._artifact_id(given.transformer, "kale.Transformer") if given.transformer else None,
                name=given.name,
                serve_config=config,  # type: ignore[arg-type]  # serve() says what is wrong with it
                runtime=given.runtime,
                protocol=given.protocol,
                method=given.method,
                verify=given.verify,
                remove=given.remove or (),
                wait=not given.no_wait,
                timeout=given.timeout,
            )

    @magic_arguments()
    @line_magic("services")
    def services(self, line: str) -> ServiceTable | None:
        """Show the services, as they are now."""
        if self._parse(self.services, line) is None:
            return None
        with _usage():
            return ServiceTable(tuple(services()))

    @magic_arguments()
    @argument("name", help="The service's name.")
    @argument("-c", "--component", choices=("predictor", "transformer"), default="predictor", help="Whose log.")
    @argument("-t", "--tail", type=int, default=50, help="How many of the last lines to show.")
    @argument("--previous", action="store_true", help="The run before the last restart.")
    @line_magic("service_logs")
    def service_logs(self, line: str) -> None:
        """Print the last lines of a service's log."""
        given = self._parse(self.service_logs, line)
        if given is None:
            return
        with _usage():
            print(Endpoint(given.name).logs(given.component, tail=given.tail, previous=given.previous))

    @magic_arguments()
    @argument("name", help="The transformer's name.")
    @argument("-v", "--version", default=None, help="Its version; the next number by default.")
    @argument("-d", "--description", default=None, help="Its description.")
    @argument("-a", "--asset", action="append", default=[], help="A global that the functions use; give once for each.")
    @cell_magic("transformer")
    def transformer(self, line: str, cell: str) -> Transformer | None:
        """Run the cell, and log the functions ``preprocess`` and ``postprocess`` that it defines as a transformer.

        The globals that they use and the cell does not define are given with --asset.
        """
        from .artifacts import Transformer

        given = self._parse(self.transformer, line)
        if given is None:
            return None
        defined = _functions(cell)
        if not {"preprocess", "postprocess"} & set(defined):
            raise UsageError("%%transformer: the cell defines neither a function preprocess nor postprocess.")
        done = self._shell.run_cell(cell)
        done.raise_error()
        space = self._shell.user_ns
        for name in given.asset:
            if name not in space:
                raise UsageError(f"%%transformer: there is no variable {name!r}.")
        found = {name: space.get(name) for name in ("preprocess", "postprocess") if name in defined}
        helpers = [name for name in defined if name not in found]
        with _usage():
            made = Transformer(
                name=given.name,
                version=given.version,
                description=given.description,
                preprocess=_function(found.get("preprocess")),
                postprocess=_function(found.get("postprocess")),
                transformer_assets={name: space[name] for name in (*helpers, *given.asset)},
            )
            made.submit_artifact()
            return made

    @magic_arguments()
    @argument("name", help="The service's name.")
    @argument(
        "-p",
        "--protocol",
        choices=("v1", "v2", "v2-binary", "grpc-v2"),
        default=None,
        help="The protocol, instead of the service's own.",
    )
    @argument("--timeout", type=float, default=60.0, help="Seconds to wait for the answer.")
    @cell_magic("predict")
    def predict(self, line: str, cell: str) -> Answer | None:
        """Send the cell to a service: JSON, or a Python expression whose value is sent."""
        given = self._parse(self.predict, line)
        if given is None:
            return None
        if not cell.strip():
            raise UsageError("%%predict: the cell is empty; it holds JSON or a Python expression.")
        data = self._payload(cell)
        with _usage():
            return Answer(Endpoint(given.name).predict(data, protocol=given.protocol, timeout=given.timeout))

    @property
    def _shell(self) -> InteractiveShell:
        shell = self.shell
        if shell is None:
            raise UsageError("The magics need IPython.")
        return shell

    def _parse(self, magic: Callable[..., object], line: str) -> Namespace | None:
        """The arguments; None when help was asked for, and shown."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"{error}: {line}") from error
        if {"-h", "--help"} & set(words):
            # argparse's own --help would end in an error where an argument is missing.
            told: str = magic.parser.format_help()  # type: ignore[attr-defined]  # set by magic_arguments
            sign = "%" if "cell" in signature(magic).parameters else ""
            print(told.replace("::\n\n  ", f"Usage: {sign}", 1))
            return None
        parsed: Namespace = parse_argstring(magic, line)
        for key, value in vars(parsed).items():
            if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                setattr(parsed, key, value[1:-1])
        return parsed

    def _payload(self, cell: str) -> object:
        try:
            parsed: JSON = json.loads(cell)
        except ValueError:
            return self._value(cell)
        return parsed

    def _value(self, expression: str) -> object:
        try:
            code = compile(expression.strip(), "<magic>", "eval")
        except (SyntaxError, ValueError) as error:
            shown = expression.strip()[:200]
            raise UsageError(f"This is neither JSON nor a Python expression: {shown}") from error
        try:
            return eval(code, self._shell.user_global_ns, self._shell.user_ns)  # noqa: S307  # the user's own code
        except NameError as error:
            raise UsageError(f"{error} (in: {expression.strip()[:200]})") from error

    def _artifact_id(self, given: str, type_: str) -> int:
        """The id that a variable, a number or a logged name stands for (a name's newest version)."""
        if given.isdecimal():
            return int(given)
        value = self._shell.user_ns.get(given)
        number = value if isinstance(value, int) else getattr(value, "id", None)
        if isinstance(number, int) and number > 0:
            return number
        from . import session
        from .sync import run

        with _usage():
            versions = run(session.metadata().versions(type_, given))
        if versions:
            return versions[0].id
        if value is not None:
            raise UsageError(f"{given} is a {type(value).__name__}, not a submitted artifact or its id.")
        kind = type_.rpartition(".")[2]
        raise UsageError(f"{given!r} is neither a variable, nor an id, nor the name of a logged {kind}.")


def register(ipython: InteractiveShell) -> None:
    """Add the magics and the completion of services' names."""
    ipython.register_magics(ServeMagics)
    for magic in NAMED:
        ipython.set_hook("complete_command", complete, re_key=rf"%{{1,2}}{magic}\b.*")


def complete(shell: InteractiveShell, event: Namespace) -> list[str]:
    """Names of services for the first word after ``%service_logs`` or ``%%predict``."""
    words = event.line[: getattr(event, "end", None)].split()
    if any(not word.startswith("-") for word in words[1:]) and event.line.endswith(" "):
        return []
    try:
        return [s.ref.name for s in services() if s.ref.name.startswith(event.symbol)]
    except KaleServeError:
        # A completion that cannot be had is no completion; the magic itself tells the reason.
        return []


@contextmanager
def _usage() -> Iterator[None]:
    """Errors of what was passed are shown as such, without a traceback; failures of a service keep theirs."""
    try:
        yield
    except KaleServeError as error:
        if not 400 <= error.status < 500:
            raise
        raise UsageError(str(error)) from error


def _functions(cell: str) -> list[str]:
    """Names of the functions that a cell defines at its top level."""
    try:
        tree = ast.parse(cell)
    except SyntaxError as error:
        raise UsageError(f"%%transformer: the cell is not valid Python: {error.msg} (line {error.lineno}).") from error
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def _function(value: object) -> FunctionType | None:
    return value if isinstance(value, FunctionType) else None


def _model(service: Service) -> str:
    model = (service.answering or service).model
    return f"{model.name} {model.version}".strip() if model else ""
