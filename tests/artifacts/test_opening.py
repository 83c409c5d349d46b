"""What opening a saved model needs, by the names of distributions."""

from __future__ import annotations

from kale_serve_ext.artifacts.opening import absent


def test_distributions_that_bring_one_library_stand_for_each_other() -> None:
    installed = {"xgboost_cpu": "3.2.0", "onnxruntime-gpu": "1.20.0", "Joblib": "1.5"}
    assert absent(("xgboost", "onnxruntime", "joblib", "lightgbm"), installed) == ["lightgbm"]
    assert absent(("xgboost-cpu",), {"xgboost": "3.2.0"}) == []
