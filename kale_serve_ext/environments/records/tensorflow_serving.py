"""TensorFlow with the messages of TensorFlow Serving's API, which this package's own program answers.

``tensorflow-serving-api`` depends on ``tensorflow``, which would lie over ``tensorflow-cpu`` and bring 600 MB more.
"""

from __future__ import annotations

from ..record import Environment, Platform

_PYTHONS = ((3, 12), (3, 11), (3, 13), (3, 10))

TENSORFLOW_SERVING = Environment(
    name="tensorflow-serving",
    title="TensorFlow Serving's API",
    purpose="Serves TensorFlow models with TensorFlow Serving's REST and gRPC API.",
    platforms=(
        Platform("Linux", ("x86_64", "amd64"), (2, 27), _PYTHONS),
        Platform("Linux", ("aarch64", "arm64"), (2, 27), _PYTHONS),
        Platform("Darwin", ("arm64",), (12,), _PYTHONS),
    ),
    megabytes=1550,
    requirements=(
        "tensorflow-cpu>=2.19,<2.22; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "tensorflow>=2.19,<2.22; sys_platform != 'linux' or platform_machine != 'x86_64'",
        "grpcio>=1.71",
        "uvicorn>=0.30,<1",
    ),
    without_dependencies=("tensorflow-serving-api>=2.19,<2.22",),
    smoke=(
        "import grpc, tensorflow, uvicorn\n"
        "from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc\n"
        "print(tensorflow.__version__)"
    ),
    revision="1",
    otherwise="set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheels",
    instead="Serve with this package's own server for TensorFlow.",
)
