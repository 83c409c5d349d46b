"""Something shown in a notebook that changes in place; in a terminal, lines as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Protocol

from .serving.phases import PHASES
from .serving.verification import Verification, verification_html, verification_text

if TYPE_CHECKING:
    from .engines.base import Check
    from .serving.types import Plan, ServedArtifact, Service, Step

_STEPS = {"done": "✓", "active": "⟳", "failed": "✗", "waiting": "·"}


class _Handle(Protocol):
    def update(self, obj: object, *, raw: bool) -> None: ...


class Progress:
    """A service on its way to ready: steps and elapsed time, updated in place where the front end can.

    Args:
        write: takes the lines of a terminal; by default standard output does, and standard error the warnings.
    """

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write or _stdout
        self._warn = write or _stderr
        self._rich = write is None and in_notebook()
        self._handle: _Handle | None = None
        self._said: set[tuple[str, str, str]] = set()
        self._warnings: tuple[Check, ...] = ()
        self._changes = ""
        self._steps: tuple[str, str] = ("", "")
        self._verdicts: list[Verification] = []

    def planned(self, plan: Plan) -> None:
        """Show what the plan changes of a running service, and what it warns of."""
        self._warnings = tuple(check for check in plan.checks if check.level == "warning")
        self._changes = f"{plan.name}: {'; '.join(plan.changes)}" if plan.changes else ""
        if self._rich and (self._warnings or self._changes):
            self._show()
        elif not self._rich:
            if self._changes:
                self._write(f"{self._changes}\n")
            for check in self._warnings:
                self._warn(f"{_warning_text(check)}\n")

    def show(self, service: Service, elapsed: float) -> None:
        """Show how far it is, ``elapsed`` seconds after the start."""
        if self._rich:
            self._steps = progress_text(service, elapsed), progress_html(service, elapsed)
            self._show()
        else:
            self._print(service, elapsed)

    def uploading(self, name: str, done: int, total: int) -> None:
        """Show how many bytes of an artifact's files have gone to where the service reads them."""
        how_far = f": {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total >= 1e6 else ""
        text = f"Uploading {name}{how_far}"
        if self._rich:
            bar = f'<progress value="{done}" max="{total}" aria-label="{escape(name, quote=True)}"></progress>'
            self._steps = text, f'<div class="kale-serve-progress">{escape(text)} {bar}</div>'
            self._show()
            return
        key = (name, "upload", f"{10 * done // max(total, 1)}")  # a line for each tenth
        if key not in self._said:
            self._said.add(key)
            self._write(f"{text}\n")

    def installing(self, message: str) -> None:
        """Show what is being installed on this machine."""
        if self._rich:
            bar = f'<progress aria-label="{escape(message, quote=True)}"></progress>'
            self._steps = message, f'<div class="kale-serve-progress" role="status">{escape(message)} {bar}</div>'
            self._show()
        else:
            self._write(f"{message}\n")

    def verified(self, verdict: Verification) -> None:
        """Show whether rows were answered as expected. That none are recorded is nothing to tell."""
        if verdict.skipped:
            return
        self._verdicts.append(verdict)
        if self._rich:
            self._show()
        else:
            (self._write if verdict.ok else self._warn)(f"{verification_text(verdict)}\n")

    def _show(self) -> None:
        texts = [
            self._changes,
            *map(_warning_text, self._warnings),
            self._steps[0],
            *map(verification_text, self._verdicts),
        ]
        changes = f'<div class="kale-serve-changes">{escape(self._changes)}</div>' if self._changes else ""
        htmls = [changes, *map(_warning_html, self._warnings), self._steps[1], *map(verification_html, self._verdicts)]
        bundle = {"text/plain": "\n".join(filter(None, texts)), "text/html": "".join(htmls)}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _print(self, service: Service, elapsed: float) -> None:
        for step in service.steps:
            key = (step.component, step.title, step.state)
            if step.state != "waiting" and key not in self._said:
                self._said.add(key)
                self._write(f"{service.ref.name} {elapsed:5.1f} s  {_step_text(step)}\n")


def in_notebook() -> bool:
    """Whether this is a kernel whose front end can show HTML: not a plain interpreter, nor IPython in a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def progress_text(service: Service, elapsed: float) -> str:
    """The steps as lines of text."""
    head = f"{service.ref.name}: {service.phase} ({elapsed:.1f} s)"
    return "\n".join([head, *(f"  {_step_text(step)}" for step in service.steps)])


def progress_html(service: Service, elapsed: float) -> str:
    """The steps as HTML; every text in it is escaped."""
    rows = "".join(
        f'<li data-state="{step.state}">{_STEPS[step.state]} {escape(step.title)}'
        + (f"<br><small>{escape(step.message)}</small>" if step.message else "")
        + "</li>"
        for step in service.steps
    )
    return (
        f'<div class="kale-serve-progress" role="status">{phase_html(service.phase)} '
        f"<strong>{escape(service.ref.name)}</strong> <span>{elapsed:.1f} s</span>"
        f'<ul style="list-style:none;margin:0.3em 0;padding-left:1em">{rows}</ul></div>'
    )


def phase_html(phase: str) -> str:
    """A phase with its sign and colour."""
    sign, colour = PHASES.get(phase, ("?", "inherit"))
    return f'<span style="color:{colour}"><span aria-hidden="true">{sign}</span> {escape(phase)}</span>'


def service_html(service: Service) -> str:
    """A service as a small table; every text in it is escaped."""
    rows = [("Phase", phase_html(service.phase) + (f" – {escape(service.reason)}" if service.reason else ""))]
    for title, artifact in _served(service):
        rows.append((title.capitalize(), f"{escape(artifact.name)} <small>version {escape(artifact.version)}</small>"))
    if service.url:
        url = escape(service.url, quote=True)
        # A name inside the cluster is none to a browser.
        link = service.url.startswith(("http://", "https://")) and ".svc." not in service.url
        rows.append(("URL", f'<a href="{url}" target="_blank" rel="noopener">{url}</a>' if link else url))
    if service.external_url:
        rows.append(("External", f"<code>{escape(service.external_url)}</code> <small>not verified</small>"))
    if service.grpc_url:
        rows.append(("gRPC", f"<code>{escape(service.grpc_url)}</code>"))
    rows.append(("Protocol", escape(service.protocol)))
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{title}</th><td style="text-align:left">{value}</td></tr>'
        for title, value in rows
    )
    return (
        f'<table class="kale-serve-endpoint"><caption style="text-align:left"><strong>InferenceService '
        f"{escape(service.ref.name)}</strong></caption>{cells}</table>"
    )


def service_text(service: Service) -> str:
    """A service as lines of text."""
    lines = [
        f"InferenceService {service.ref.name}: {service.phase}" + (f" – {service.reason}" if service.reason else "")
    ]
    lines += [f"  {title}: {artifact.name} version {artifact.version}" for title, artifact in _served(service)]
    if service.url:
        lines.append(f"  url: {service.url} ({service.protocol})")
    if service.external_url:
        lines.append(f"  external, not verified: {service.external_url}")
    return "\n".join(lines)


def _served(service: Service) -> list[tuple[str, ServedArtifact]]:
    """What answers, and what is to come where that is something else."""
    now = service.answering or service
    found = [("model", now.model), ("transformer", now.transformer)]
    if service.answering:
        came = [("next model", service.model), ("next transformer", service.transformer)]
        found += [(title, one) for title, one in came if one not in (now.model, now.transformer)]
    return [(title, artifact) for title, artifact in found if artifact]


def _warning_text(check: Check) -> str:
    return " ".join(filter(None, ("⚠", check.message, check.hint)))


def _warning_html(check: Check) -> str:
    hint = f"<br><small>{escape(check.hint)}</small>" if check.hint else ""
    colour = PHASES["Degraded"][1]
    return (
        f'<div class="kale-serve-warning" role="status"><span style="color:{colour}" aria-hidden="true">⚠</span> '
        f"{escape(check.message)}{hint}</div>"
    )


def _step_text(step: Step) -> str:
    message = f": {step.message}" if step.message else ""
    return f"{_STEPS[step.state]} {step.title}{message}"


def _stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
