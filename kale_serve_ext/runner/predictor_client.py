"""How a transformer asks its predictor by gRPC: kserve's client, without its policy to send again what was sent."""

from __future__ import annotations

import json

import kserve.model
import kserve.model_server
from kserve import InferenceGRPCClient
from kserve.utils.inference_client_factory import InferenceClientFactory

_NO_POLICY = json.dumps({"methodConfig": []})


class OnceFactory(InferenceClientFactory):  # type: ignore[misc]  # kserve has no types
    """kserve's retries what is UNAVAILABLE: a request that ends a predictor would end each of its replicas."""

    _instance = None
    """Not kserve's only one, which its servers may have made before, to ask whether the predictor is ready."""

    def get_grpc_client(self, url: str, **settings: object) -> InferenceGRPCClient:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.service_config", _NO_POLICY),
        ]
        return super().get_grpc_client(url, **{"channel_args": options, **settings})


def use() -> None:
    """Let kserve's models and servers ask by it."""
    kserve.model.InferenceClientFactory = OnceFactory
    kserve.model_server.InferenceClientFactory = OnceFactory
