"""ServeConfig in every spelling."""

from __future__ import annotations

import pytest
from kubernetes.client import (
    V1Affinity,
    V1EnvVar,
    V1EnvVarSource,
    V1NodeAffinity,
    V1NodeSelector,
    V1NodeSelectorRequirement,
    V1NodeSelectorTerm,
    V1SecretKeySelector,
    V1Toleration,
)

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.config import for_component, normalise, with_labels

EXPRESSION = V1NodeSelectorRequirement(key="gpu", operator="In", values=["a100"])
AFFINITY = V1Affinity(
    node_affinity=V1NodeAffinity(
        required_during_scheduling_ignored_during_execution=V1NodeSelector(
            node_selector_terms=[V1NodeSelectorTerm(match_expressions=[EXPRESSION])]
        )
    )
)
SECRET = V1EnvVarSource(secret_key_ref=V1SecretKeySelector(key="k", name="s"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"env": [], "limits": {}, "affinity": None, "protocol_version": ""}, {}),
        ({"node_selector": {"my_label": "x"}}, {"nodeSelector": {"my_label": "x"}}),
        ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"a": "b"}}),
        ({"limits": {"memory": "4Gi", "cpu": 2}}, {"limits": {"memory": "4Gi", "cpu": "2"}}),
        ({"annotations": {"sidecar.istio.io/inject": False}}, {"annotations": {"sidecar.istio.io/inject": "false"}}),
        ({"labels": {"team_name": "a"}}, {"labels": {"team_name": "a"}}),
        ({"env": [V1EnvVar(name="A", value="1")]}, {"env": [{"name": "A", "value": "1"}]}),
        (
            {"env": [V1EnvVar(name="A", value_from=SECRET)]},
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k", "name": "s"}}}]},
        ),
        (
            {"tolerations": [V1Toleration(key="gpu", operator="Exists", toleration_seconds=3)]},
            {"tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 3}]},
        ),
        ({"protocol_version": "v2"}, {"protocolVersion": "v2"}),
        (
            {"predictor": {"min_replicas": 2, "service_account_name": "me"}},
            {"predictor": {"minReplicas": 2, "serviceAccountName": "me"}},
        ),
        ({"predictor": {"canary_traffic_percent": 20}}, {"predictor": {"canaryTrafficPercent": 20}}),
        (
            {"limits": {"memory": "4Gi"}, "predictor": {"container": {"name": "container", "image": "a/b:1"}}},
            {"limits": {"memory": "4Gi"}, "predictor": {"container": {"name": "container", "image": "a/b:1"}}},
        ),
    ],
)
def test_one_form_comes_of_every_spelling(given: dict[str, object], wanted: dict[str, JSON]) -> None:
    assert normalise(given) == wanted


def test_nested_objects_of_the_kubernetes_client_become_plain() -> None:
    made = normalise({"affinity": AFFINITY})

    terms = [{"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["a100"]}]}]
    assert made == {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": {"cpu": "1"}}, "Did you mean `limits`"),
        ({"min_replicas": 1}, "goes inside `predictor`"),
        ({"env": {"A": "1"}}, "must be a list"),
        ({"env": [{"value": "1"}]}, "object with `name`"),
        ({"env": [{"name": "A", "value": 1}]}, "must be a text"),
        ({"env": [{"name": "A=B", "value": "1"}]}, "serve_config.env[0].name is 'A=B'"),
        ({"env": [{"name": "A"}, {"name": "1A"}]}, "serve_config.env[1].name is '1A'"),
        ({"env": [{"name": "A\n"}]}, "cannot be the name"),
        ({"env": [{"name": ".."}]}, "cannot be the name"),
        ({"env": [{"name": "A"}, {"name": "A"}]}, "'A' more than once"),
        ({"env": [{"name": "A", "value": "1\0"}]}, "The value of A in serve_config.env has a NUL"),
        ({"env": [{"name": "A", "value": "\ud800"}]}, "surrogate"),
        ({"predictor": {"env": [{"name": "ä"}]}}, "serve_config.predictor.env[0].name"),
        ({"predictor": {"args": ["a", "\0"]}}, "serve_config.predictor.args[1]"),
        ({"predictor": {"container": {"env": [{"name": "A B"}]}}}, "serve_config.predictor.container.env[0].name"),
        ({"transformer": {"containers": [{"command": ["\0"]}]}}, "serve_config.transformer.containers[0].command[0]"),
        ({"limits": [1]}, "names and texts"),
        ({"limits": {"cpu": [1]}}, "serve_config.limits.cpu"),
        ({"predictor": "kserve"}, "must be an object"),
        ({"predictor": {"minReplicas": -1}}, "not negative"),
        ({"predictor": {"min_replicas": "2"}}, "whole number"),
        ({"predictor": {"canary_traffic_percent": 101}}, "from 0 to 100"),
        ({"canary_traffic_percent": 20}, "goes inside `predictor`"),
        ({"predictor": {"container": []}}, "must be an object"),
        ({"protocol_version": "v3"}, "'v1' or 'v2'"),
        ({"affinity": object()}, "cannot be written"),
        ({"x" * 10**6: 1}, "has no field"),
    ],
)
def test_what_cannot_be_read_is_told(given: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        normalise(given)

    assert told in str(caught.value)
    assert caught.value.field == "config"
    assert len(str(caught.value)) < 1000


def test_a_components_own_value_wins_and_env_is_added_to() -> None:
    config = normalise(
        {
            "env": [{"name": "A", "value": "all"}, {"name": "B", "value": "all"}],
            "limits": {"cpu": "1", "memory": "1Gi"},
            "node_selector": {"zone": "a"},
            "tolerations": [{"key": "all"}],
            "predictor": {
                "env": [{"name": "A", "value": "own"}],
                "limits": {"memory": "2Gi"},
                "tolerations": [{"key": "own"}],
            },
        }
    )

    assert for_component(config, "predictor") == {
        "env": [{"name": "B", "value": "all"}, {"name": "A", "value": "own"}],
        "limits": {"cpu": "1", "memory": "2Gi"},
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "own"}],
    }
    assert for_component(config, "transformer") == {
        "env": [{"name": "A", "value": "all"}, {"name": "B", "value": "all"}],
        "limits": {"cpu": "1", "memory": "1Gi"},
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "all"}],
    }


def test_labels_of_the_notebooks_pod_are_put_on_every_pod() -> None:
    config = normalise({"labels": {"team": "a"}, "predictor": {"labels": {"part": "p"}}})
    made = with_labels(config, {"access-ml-pipeline": "true", "team": "a"})
    assert for_component(made, "predictor")["labels"] == {"team": "a", "access-ml-pipeline": "true", "part": "p"}
    assert for_component(made, "transformer")["labels"] == {"team": "a", "access-ml-pipeline": "true"}


@pytest.mark.parametrize("config", [{"labels": {"team": "b"}}, {"transformer": {"labels": {"team": "b"}}}])
def test_a_label_with_two_values_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match=r"The label 'team' is 'b' in serve_config, and 'a' on this notebook"):
        with_labels(normalise(config), {"team": "a"})
