"""KServe with one XGBoost model, as its own XGBoost server predicts: V1 lists and V2 tensors, one worker.

Usage: kserve_peer.py PORT BUNDLE
"""

import sys
from pathlib import Path

import kserve
import xgboost as xgb
from kserve.utils.utils import get_predict_input, get_predict_response

port, bundle = sys.argv[1:]


class Risk(kserve.Model):
    def load(self) -> bool:
        self.booster = xgb.Booster({"nthread": 1}, model_file=Path(bundle) / "model.ubj")
        self.names, self.types = self.booster.feature_names, self.booster.feature_types
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None):
        instances = get_predict_input(payload)
        data = xgb.DMatrix(
            instances, feature_names=self.names, feature_types=self.types, enable_categorical=True, nthread=1
        )
        return get_predict_response(payload, self.booster.predict(data), self.name)


model = Risk("risk")
model.load()
kserve.ModelServer(http_port=int(port), workers=1, enable_grpc=False, access_log_format=None).start([model])
