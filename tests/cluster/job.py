"""What a user runs in a notebook of Kubeflow: the published lines."""

import json
import tempfile
from pathlib import Path

import numpy as np
from kale.common import artifacts
from kale.common.artifacts import Model
from kale.serve import Endpoint, serve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, target = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(features, target)

folder = Path(tempfile.mkdtemp())
(folder / "transformer.py").write_text(
    "def preprocess(request, headers=None):\n    return {'instances': [row[:4] for row in request['instances']]}\n"
)
transformer_artifact = artifacts.Transformer(name="First four", transformer_dir=str(folder))
transformer_artifact.submit_artifact()
model_artifact = Model(model=model, description="Iris", version="1.0.0", author="Kale", tags={"stage": "development"})
model_artifact.submit_artifact()

# Of the runtimes that the tests' cluster has, which this account may not list, this is the one with an image.
runtime = "kale-sklearn"
isvc = serve(model_artifact.id, transformer_artifact.id, propagate_configurations=True, runtime=runtime)
alone = serve(model_artifact, name="alone", runtime=runtime)
rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
print(
    json.dumps(
        {
            "uri": model_artifact.uri,
            "service": isvc.name,
            "url": isvc.url,
            "phase": isvc.phase,
            "with_transformer": Endpoint(isvc.name).predict({"instances": [[*row, 9.9] for row in rows.tolist()]}),
            "by_grpc": np.asarray(alone.predict(rows, protocol="grpc-v2")["outputs"][0]["data"]).tolist(),
            "by_rest": alone.predict(rows.tolist()),
        }
    ),
    flush=True,
)
