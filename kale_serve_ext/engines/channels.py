"""How gRPC channels to models are set up, whichever engine opens them."""

from __future__ import annotations

import json

MAX_MESSAGE = 256 * 1024 * 1024
_RETRY = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                # A revision that goes away refuses what it has not begun: the next one takes it.
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
RETRYING = [*_OPTIONS, ("grpc.service_config", _RETRY)]
"""A call that did not reach the model is made again."""
ONCE = [*_OPTIONS, ("grpc.enable_retries", 0)]
