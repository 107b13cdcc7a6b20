"""Trains a model as the replaced server loads it: a pickle of an XGBClassifier, here with the categories it needs.

Usage: replaced_train.py ORDERS.jsonl MODEL.pkl
"""

import json
import sys

import joblib
import pandas as pd
import xgboost as xgb

NAMES = [
    "feature_discount_pct",
    "feature_velocity_24h",
    "feature_hours_since_trend_peak",
    "feature_creator_reliability",
    "feature_cust_prior_return_rate_90d",
    "feature_cust_avg_order_value_90d",
    "feature_prod_size_fit_rate",
]
DEVICE = "feature_device_type"
DEVICES = ["app", "desktop", "mobile", "tablet"]

orders, model = sys.argv[1:]
with open(orders) as lines:
    rows = [json.loads(line) for line in lines]
features = [row["order"]["features"] for row in rows]
frame = pd.DataFrame({name: [f.get(name) for f in features] for name in NAMES}, dtype=float)
frame[DEVICE] = pd.Categorical([f.get(DEVICE) for f in features], categories=DEVICES)
classifier = xgb.XGBClassifier(
    n_estimators=300, max_depth=6, learning_rate=0.03, min_child_weight=20, subsample=0.7, colsample_bytree=0.8,
    tree_method="hist", enable_categorical=True, random_state=7,
)  # fmt: skip
classifier.fit(frame, [row["regret"] for row in rows])
joblib.dump({"classifier": classifier, "device": DEVICE, "devices": DEVICES}, model)
