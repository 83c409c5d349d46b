"""What the OpenAPI document says holds for a real server, whatever it is sent."""

from __future__ import annotations

import httpx
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples

from kale_serve_ext.server.openapi import DOCUMENT

EXAMPLES = 15

schema = schemathesis.openapi.from_path(DOCUMENT)


@schema.parametrize()
@examples(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_to_its_document(case: schemathesis.Case[object], real_server: httpx.Client) -> None:
    case.call_and_validate(base_url=str(real_server.base_url).rstrip("/"), headers=dict(real_server.headers))
