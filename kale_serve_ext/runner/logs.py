"""What a model server writes: its own warnings and the user's lines, and one line for each REST request."""

from __future__ import annotations

import logging.config
import warnings


def quieten() -> None:
    """Set up logging before kserve does: it would write three lines a request and one for each route."""
    # kserve's own choice of response class, told once for each request.
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}
            },
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "kserve": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
                "kale_serve": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
                "uvicorn": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
                "uvicorn.access": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
            },
        }
    )
