"""Chooses the golden rows: the rows on which the service must repeat the training library's numbers."""

import json

import numpy as np
import xgboost as xgb

from trendbuy_training import catalogue
from trendbuy_training.model import SCHEMA
from trendbuy_training.orders import frame, matrix

ROWS = 512

# How many thresholds of each numeric feature are tried from both sides.
THRESHOLDS_PER_FEATURE = 8


def thresholds(booster: xgb.Booster) -> dict[str, np.ndarray]:
    """The finite split thresholds of each numeric feature, as float32.

    XGBoost writes an infinite one where a split only parts missing values from the others.
    """
    names = booster.feature_names
    found: dict[str, set] = {name: set() for name in names}
    trees = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    for tree in trees:
        nodes = zip(tree["left_children"], tree["split_type"], tree["split_indices"], tree["split_conditions"], strict=True)
        for left, kind, feature, condition in nodes:
            if left != -1 and kind == 0 and np.isfinite(condition):
                found[names[feature]].add(np.float32(condition))
    return {name: np.array(sorted(values), dtype=np.float32) for name, values in found.items()}


def beside(threshold: np.float32) -> tuple[float, float, float]:
    """The threshold, one float32 below it, and a double that only float32 rounding puts on it."""
    on, below = float(threshold), float(np.nextafter(threshold, np.float32(-np.inf)))
    return on, below, on - (on - below) / 4


def _set(**changes: object) -> dict:
    return {**catalogue.EXAMPLE, **{f"feature_{name}": value for name, value in changes.items()}}


def _bounds_and_missing() -> list[dict]:
    optional = [feature.name for feature in catalogue.FEATURES if not feature.required]
    rows = [dict(catalogue.EXAMPLE)]
    for device in catalogue.CATEGORIES:
        without = {name: None for name in optional}
        rows.append({**_set(device_type=device), **without})
        rows.append(_set(device_type=device))
    rows += [{**catalogue.EXAMPLE, name: None} for name in optional]
    for feature in catalogue.FEATURES:
        rows += [
            {**catalogue.EXAMPLE, feature.name: bound} for bound in (feature.minimum, feature.maximum) if bound is not None
        ]
    # Far outside what was seen, yet allowed; and numbers that float32 must round.
    rows += [_set(velocity_24h=value) for value in (1e-40, 0.1, 16777217, 1e9, 3.4028234663852886e38)]
    rows += [_set(hours_since_trend_peak=value) for value in (-1e6, -0.0, 1e-40, 1 / 3, 1e6)]
    rows += [_set(cust_avg_order_value_90d=value) for value in (1e-7, 99.99, 1e12)]
    return rows


def _threshold_rows(booster: xgb.Booster) -> list[dict]:
    rows = []
    for name, values in thresholds(booster).items():
        picks = np.unique(np.linspace(0, len(values) - 1, THRESHOLDS_PER_FEATURE).astype(int)) if len(values) else []
        for value in values[picks]:
            rows += [{**catalogue.EXAMPLE, name: x} for x in beside(value)]
    return [row for row in rows if _allowed(row)]


def _allowed(row: dict) -> bool:
    """Golden rows keep the contract, as the service checks it before it scores."""
    for feature in catalogue.FEATURES:
        value = row[feature.name]
        if feature.minimum is not None and value < feature.minimum:
            return False
        if feature.maximum is not None and value > feature.maximum:
            return False
    return True


def rows(booster: xgb.Booster, held_back: np.ndarray) -> np.ndarray:
    """The golden rows: made by hand first, then orders spread evenly over those held back."""
    made = matrix(frame(_bounds_and_missing() + _threshold_rows(booster), SCHEMA))
    picks = np.linspace(0, len(held_back) - 1, ROWS - len(made)).astype(int)
    return np.concatenate([made, held_back[picks]])
