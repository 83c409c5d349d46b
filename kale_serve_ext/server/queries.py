"""The query strings of the REST API; ``openapi.py`` makes the document's parameters from them too.

Unknown parameters are passed over: JupyterLab adds its own to every request (a cache buster, ``no_track_activity``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import NO_NUL, FilePath, Id, Name

Cursor = Annotated[str, Field(max_length=2000)]
ComponentName = Literal["predictor", "transformer"]


class Query(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ListQuery(Query):
    """Which registered names to list, and which page of them."""

    search: Annotated[Name, Field(description="Part of a name or description, in any case.")] = ""
    type: Annotated[Name, Field(description="An artifact type, such as `kale.Model` or `system.Model`.")] = ""
    format: Annotated[Name, Field(description="A format's name, such as `sklearn`.")] = ""
    tag: Annotated[Name, Field(description="A tag as `key:value`, or `key` for any value.")] = ""
    name: Annotated[Name, Field(description="Exactly this registered name.")] = ""
    cursor: Annotated[Cursor, Field(description="The page before's `next_cursor`; empty for the first page.")] = ""
    limit: Annotated[int, Field(ge=1, le=500, description="Names on one page, at most.")] = 50


class FileQuery(Query):
    """Which file or folder."""

    path: Annotated[FilePath, Field(description="Under the server's root, as the file browser shows it.")]


class EnvironmentQuery(Query):
    """Where an environment is laid that goes beside an interpreter."""

    python: Annotated[
        Annotated[str, Field(max_length=4096, pattern=NO_NUL)],
        Field(description="The interpreter's path; the server's own when empty. Other environments pass it over."),
    ] = ""


class RuntimesQuery(Query):
    """For which model, and over which protocol, a runtime is sought."""

    model_id: Id | None = None
    protocol: Literal["", "v1", "v2"] = ""


class NamespacesQuery(Query):
    """Of which cluster."""

    context: Annotated[Name, Field(description="The kubeconfig's context.")] = ""


class LogsQuery(Query):
    """Which part of a service's log."""

    component: ComponentName = "predictor"
    tail: Annotated[int, Field(ge=0, le=100_000, description="Lines from the end.")] = 200
    previous: Annotated[bool, Field(description="The run before the last restart.")] = False
    follow: Annotated[bool, Field(description="Go on as the process writes, until the client hangs up.")] = False


class TensorsQuery(Query):
    """Of what a test request would be made for."""

    component: Annotated[
        Literal["", "predictor", "transformer"], Field(description="The service's entry when empty.")
    ] = ""


class MetricsQuery(Query):
    """Which component's metrics."""

    component: ComponentName = "predictor"
