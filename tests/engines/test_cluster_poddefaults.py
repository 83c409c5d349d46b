"""Which of a notebook pod's labels PodDefaults choose it by."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.cluster.poddefaults import chosen_by
from kale_serve_ext.ml import JSON


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"matchLabels": {"a": "1"}}, {"a": "1"}),
        ({"matchLabels": {"a": "1", "b": "3"}}, {}),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "1"}),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"b": "2"}),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}, {"a": "1"}),
        ({}, {}),
    ],
)
def test_a_selector_chooses_as_in_kubernetes(selector: JSON, found: dict[str, str]) -> None:
    assert chosen_by([{"spec": {"selector": selector}}], {"a": "1", "b": "2"}) == found
