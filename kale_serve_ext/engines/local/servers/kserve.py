"""KServe's own servers: this package's runner, under the model's own interpreter."""

from __future__ import annotations

from .record import Server, StandsFor

_BOTH = ("v1", "v2")

SERVER = Server(
    name="kserve",
    title="KServe",
    runtimes=(
        StandsFor("kserve-sklearnserver", "KServe sklearn server", ("sklearn",), _BOTH),
        StandsFor("kserve-xgbserver", "KServe XGBoost server", ("xgboost",), _BOTH),
        StandsFor("kserve-lgbserver", "KServe LightGBM server", ("lightgbm",), _BOTH),
        StandsFor("kserve-customserver", "KServe custom server", ("custom",), _BOTH),
    ),
)
