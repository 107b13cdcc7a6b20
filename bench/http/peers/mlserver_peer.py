"""MLServer with one XGBoost model, as its own XGBoost runtime predicts, in one process.

Usage: mlserver_peer.py PORT BUNDLE
"""

import asyncio
import sys
from pathlib import Path

import xgboost as xgb
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

port, bundle = sys.argv[1:]


class Risk(MLModel):
    async def load(self) -> bool:
        self.booster = xgb.Booster({"nthread": 1}, model_file=Path(bundle) / "model.ubj")
        self.names, self.types = self.booster.feature_names, self.booster.feature_types
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = self.decode_request(payload, default_codec=NumpyRequestCodec)
        data = xgb.DMatrix(rows, feature_names=self.names, feature_types=self.types, enable_categorical=True, nthread=1)
        output = NumpyCodec.encode_output("predict", self.booster.predict(data))
        return InferenceResponse(model_name=self.name, outputs=[output])


async def serve() -> None:
    server = MLServer(
        Settings(host="127.0.0.1", http_port=int(port), grpc_port=0, metrics_endpoint=None, parallel_workers=0)
    )
    await server.start([ModelSettings(name="risk", implementation=Risk, parameters=ModelParameters(uri=bundle))])


asyncio.run(serve())
