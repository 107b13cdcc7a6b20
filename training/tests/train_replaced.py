"""Run under XGBoost 2.0.3 and scikit-learn 1.4.0: trains what the replaced server served, and dumps it in its ways.

Into the directory that is named: model.pkl, model.joblib and model.joblib.gz, and the model's own probabilities of the rows
of frame.csv. Training stops early, so that the probabilities are those of the best iteration.
"""

import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
import xgboost as xgb

directory = Path(sys.argv[1])
assert (xgb.__version__, sklearn.__version__) == ("2.0.3", "1.4.0")
frame = pd.read_csv(directory / "frame.csv")
outcome = frame.pop("outcome")
frame["feature_device_type"] = frame["feature_device_type"].astype("category")
model = xgb.XGBClassifier(
    n_estimators=200,
    max_depth=4,
    learning_rate=0.5,
    tree_method="hist",
    enable_categorical=True,
    early_stopping_rounds=3,
    n_jobs=1,
)
model.fit(frame[:2000], outcome[:2000], eval_set=[(frame[2000:], outcome[2000:])], verbose=False)
assert 0 < model.best_iteration < model.get_booster().num_boosted_rounds() - 1
with (directory / "model.pkl").open("wb") as out:
    pickle.dump(model, out)
joblib.dump(model, directory / "model.joblib")
joblib.dump(model, directory / "model.joblib.gz")
np.save(directory / "probabilities.npy", model.predict_proba(frame)[:, 1])
