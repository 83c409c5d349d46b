"""Does what KServe's servers for scikit-learn, XGBoost and LightGBM do, for clusters without their images: loads the
model's own file, and asks it with what KServe's SDK makes of a request."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import kserve
from kserve.errors import InferenceError
from kserve.model_server import parser as server_parser
from kserve.utils.utils import get_predict_input, get_predict_response


class Stock(kserve.Model):  # type: ignore[misc]  # kserve has no types
    """A model file whose ``predict`` answers."""

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(name)
        self._columns: list[str] | None = None
        if file.suffix == ".joblib":
            import joblib

            estimator = joblib.load(file)
            proba = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
            self._predict = estimator.predict_proba if proba else estimator.predict
        elif file.suffix == ".ubj":
            import xgboost

            booster = xgboost.Booster(model_file=bytearray(file.read_bytes()))
            self._predict = lambda rows: booster.predict(xgboost.DMatrix(rows))
        else:
            import lightgbm

            trees = lightgbm.Booster(model_file=str(file))
            self._predict, self._columns = trees.predict, trees.feature_name()
        self.ready = True

    def predict(self, payload: object, headers: object = None) -> object:
        try:
            return get_predict_response(payload, self._predict(get_predict_input(payload, self._columns)), self.name)
        except Exception as error:
            raise InferenceError(str(error)) from error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[server_parser])
    parser.add_argument("--model_dir", default="/mnt/models")
    given, _ = parser.parse_known_args()
    (model,) = (f for f in Path(given.model_dir).iterdir() if f.suffix in (".joblib", ".ubj", ".bst"))
    kserve.ModelServer().start([Stock(given.model_name, model)])
