"""MLServer with its scikit-learn, XGBoost, LightGBM, CatBoost and MLflow runtimes, as KServe's image has them."""

from __future__ import annotations

from ..record import Environment, Platform

_VERSION = "1.7.1"
_PYTHONS = ((3, 12), (3, 11), (3, 10))
# Its metadata says "<3.13"; it runs with 3.13 all the same.
_BY_UV = ((3, 13),)

MLSERVER = Environment(
    name="mlserver",
    title="MLServer",
    purpose="Serves scikit-learn, XGBoost, LightGBM, CatBoost and MLflow models with the Open Inference Protocol (v2).",
    platforms=(
        Platform("Linux", ("x86_64", "amd64", "aarch64", "arm64"), (2, 28), _PYTHONS, _BY_UV),
        Platform("Darwin", ("arm64",), (12,), _PYTHONS, _BY_UV),
    ),
    megabytes=730,
    requirements=(
        f"mlserver=={_VERSION}",
        f"mlserver-sklearn=={_VERSION}",
        f"mlserver-lightgbm=={_VERSION}",
        "lightgbm>=4.5",
        "scikit-learn>=1.4",
        # The same module without GPUs' libraries: xgboost brings some 300 MB of NCCL on Linux.
        "xgboost-cpu>=2.1; sys_platform == 'linux'",
        "xgboost>=2.1; sys_platform == 'darwin'",
        # MLflow without its tracking server, and what reading models takes.
        "mlflow-skinny>=3.0,<4",
        "pandas>=2.0",
        "six>=1.16",
        "skops>=0.11",
        # MLServer takes its event loop policy, which 0.22 has no more.
        "uvloop<0.22",
    ),
    # They depend on xgboost and mlflow by these names; CatBoost on libraries that only draw.
    without_dependencies=(
        f"mlserver-xgboost=={_VERSION}",
        f"mlserver-catboost=={_VERSION}",
        f"mlserver-mlflow=={_VERSION}",
        "catboost>=1.2",
    ),
    smoke=(
        "import mlserver.server, mlserver_catboost, mlserver_lightgbm, mlserver_mlflow, mlserver_sklearn\n"
        "import mlserver_xgboost, uvloop\n"
        "print(mlserver.__version__)"
    ),
    revision="2",
    otherwise="set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheels",
    instead="Serve with one of KServe's own servers.",
)
