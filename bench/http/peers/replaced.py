"""The server that riskscorer replaces, anew, with the categories right: each device keeps its code of the training.

Usage: replaced.py PORT MODEL.pkl global|shap
With global its reasons are, as they were, the three most important features of the whole model; with shap those of the
order, by exact SHAP.
"""

import sys

import joblib
import numpy as np
import pandas as pd
import uvicorn
import xgboost as xgb
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

port, path, reasons = sys.argv[1:]
loaded = joblib.load(path)
classifier, device, devices = loaded["classifier"], loaded["device"], loaded["devices"]
booster = classifier.get_booster()
names = booster.feature_names
importance = dict(zip(names, classifier.feature_importances_, strict=True))
texts = {
    "feature_discount_pct": "Deep discount",
    "feature_velocity_24h": "High trend velocity",
    "feature_hours_since_trend_peak": "Late trend purchase timing",
    "feature_creator_reliability": "Creator reliability",
    "feature_cust_prior_return_rate_90d": "Prior customer return behavior",
    "feature_cust_avg_order_value_90d": "Customer order value",
    "feature_prod_size_fit_rate": "Product size fit",
    "feature_device_type": "Device type",
}
app = FastAPI(title="TrendBuy Regret Risk Scoring API")


class Order(BaseModel):
    order_id: str
    features: dict[str, float | str]


class Answer(BaseModel):
    order_id: str
    risk_score: float
    risk_band: str
    model_version: str
    top_contributors: list[str]


def band(score: float) -> str:
    if score < 0.4:
        return "LOW"
    return "MEDIUM" if score < 0.65 else "HIGH"


def top(frame: pd.DataFrame) -> list[str]:
    if reasons == "shap":
        data = xgb.DMatrix(frame, enable_categorical=True)
        contributions = booster.predict(data, pred_contribs=True)[0, :-1]
        return [texts[names[i]] for i in np.argsort(-np.abs(contributions))[:3]]
    return [texts[name] for name in sorted(importance, key=importance.get, reverse=True)[:3]]


@app.post("/score", response_model=Answer)
async def score(order: Order) -> Answer:
    try:
        frame = pd.DataFrame([order.features])
        frame[device] = pd.Categorical(frame[device], categories=devices)
        probability = float(classifier.predict_proba(frame)[0, 1])
        return Answer(
            order_id=order.order_id,
            risk_score=round(probability, 4),
            risk_band=band(probability),
            model_version="trendbuy_xgb_v1.0.0",
            top_contributors=top(frame),
        )
    except Exception as error:
        raise HTTPException(status_code=500, detail=str(error)) from error


uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
