"""Trains the model and asks the training library for its numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb

from trendbuy_training import catalogue
from trendbuy_training.orders import Schema

TREES = 300

# One thread and a fixed seed: sums of gradients are then added in one order, and the file repeats byte for byte.
PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 6,
    "learning_rate": 0.03,
    "min_child_weight": 20,
    "reg_lambda": 5,
    "subsample": 0.7,
    "colsample_bytree": 0.8,
    "nthread": 1,
    "seed": 7,
}

SCHEMA = Schema(
    names=catalogue.NAMES,
    categories={feature.name: catalogue.CATEGORIES for feature in catalogue.FEATURES if feature.category},
)


@dataclass(frozen=True)
class Numbers:
    """What the library says of each row, as float32 widened to float64.

    contributions has one more column than there are features: the last is the bias.
    """

    margin: np.ndarray
    score: np.ndarray
    contributions: np.ndarray


def train(features: pd.DataFrame, regret: np.ndarray, trees: int = TREES) -> xgb.Booster:
    """Trains the regret model with the catalogue's monotone constraints."""
    constraints = tuple(feature.monotone for feature in catalogue.FEATURES)
    data = xgb.DMatrix(features, regret, enable_categorical=True, nthread=1)
    return xgb.train({**PARAMETERS, "monotone_constraints": constraints}, data, num_boost_round=trees)


def numbers(booster: xgb.Booster, features: pd.DataFrame) -> Numbers:
    """Margin, score and exact SHAP contributions of each row."""
    data = xgb.DMatrix(features, enable_categorical=True)
    return Numbers(
        margin=booster.predict(data, output_margin=True).astype(np.float64),
        score=booster.predict(data).astype(np.float64),
        contributions=booster.predict(data, pred_contribs=True).astype(np.float64),
    )


def scores(booster: xgb.Booster, features: pd.DataFrame) -> np.ndarray:
    """The scores alone, which cost a fraction of the contributions."""
    return booster.predict(xgb.DMatrix(features, enable_categorical=True)).astype(np.float64)


def importances(booster: xgb.Booster) -> dict[str, float]:
    """Each feature's share of the total gain; the shares add up to 1."""
    gain = booster.get_score(importance_type="total_gain")
    total = sum(gain.values())
    return {name: gain.get(name, 0.0) / total for name in booster.feature_names}
