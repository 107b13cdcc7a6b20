"""Chooses golden rows of any model: rows at which a mistake would show, then rows as they came in training.

Every row keeps the contract, as the service checks it before it scores.
"""

from itertools import zip_longest

import numpy as np

from trendbuy_training.native import Native

ROWS = 512

# The most rows made for edges; the others are drawn.
EDGES = 384
THRESHOLDS_PER_FEATURE = 8
CATEGORIES_PER_FEATURE = 64


def rows(model: Native, contract: dict, trained: np.ndarray | None) -> np.ndarray:
    """512 rows; a share of them as trained has them, or else drawn from the thresholds and categories of the model."""
    features = contract["features"]
    if trained is None:
        usual = _drawn(model, features)
    else:
        usual = trained[kept(features, trained)]
        if not len(usual):
            raise ValueError("no row of the frame keeps the contract: " + broken(features, trained))
    fullest = usual[np.isnan(usual).sum(axis=1).argmin()]
    made = _edges(model, features, fullest)
    made = made[kept(features, made)][:EDGES]
    return np.concatenate([made, usual[np.linspace(0, len(usual) - 1, ROWS - len(made)).astype(int)]])


def kept(features: list[dict], candidates: np.ndarray) -> np.ndarray:
    """Which rows keep the contract."""
    return np.logical_and.reduce([_kept(feature, candidates[:, i]) for i, feature in enumerate(features)])


def broken(features: list[dict], candidates: np.ndarray) -> str:
    """Which features break the contract, and in how many rows."""
    counts = {feature["name"]: int((~_kept(feature, candidates[:, i])).sum()) for i, feature in enumerate(features)}
    return ", ".join(f"{name} in {count} of {len(candidates)} rows" for name, count in counts.items() if count)


def _kept(feature: dict, column: np.ndarray) -> np.ndarray:
    missing, allowed = np.isnan(column), feature.get("allowed", {})
    inside = (column >= allowed.get("min", -np.inf)) & (column <= allowed.get("max", np.inf))
    return np.where(missing, feature["policy"] == "optional", inside)


def _drawn(model: Native, features: list[dict]) -> np.ndarray:
    """Rows around the thresholds, one in ten values of an optional feature missing; the same ones every time."""
    random = np.random.default_rng(1)
    out = np.empty((ROWS, len(features)))
    for i, feature in enumerate(features):
        if feature["type"] == "category":
            out[:, i] = random.integers(0, len(feature["categories"]), ROWS)
        else:
            centers = model.thresholds[i].astype(np.float64) if len(model.thresholds[i]) else np.zeros(1)
            spread = np.ptp(centers) / 8 or 1.0
            allowed = feature.get("allowed", {})
            drawn = random.choice(centers, ROWS) + random.normal(0, spread, ROWS)
            out[:, i] = np.clip(drawn, allowed.get("min"), allowed.get("max"))
        if feature["policy"] == "optional":
            out[random.random(ROWS) < 0.1, i] = np.nan
    return out


def _edges(model: Native, features: list[dict], usual: np.ndarray) -> np.ndarray:
    """The row with the most missing, then a usual row with one value changed, each feature in turn by importance."""
    optional = np.array([feature["policy"] == "optional" for feature in features])
    made = [np.where(optional, np.nan, usual)]
    order = np.argsort(-model.shares, kind="stable").tolist()
    for turn in zip_longest(*(_values(model, features[i], i) for i in order)):
        for i, value in zip(order, turn, strict=True):
            if value is not None:
                row = usual.copy()
                row[i] = value
                made.append(row)
    return np.array(made)


def _values(model: Native, feature: dict, i: int) -> list[float]:
    values = [np.nan]
    if feature["type"] == "category":
        return values + [float(code) for code in range(min(len(feature["categories"]), CATEGORIES_PER_FEATURE))]
    values += [float(bound) for bound in feature.get("allowed", {}).values()]
    thresholds = model.thresholds[i]
    if len(thresholds):
        picks = np.unique(np.linspace(0, len(thresholds) - 1, THRESHOLDS_PER_FEATURE).astype(int))
        values += [x for threshold in thresholds[picks] for x in model.beside(i, threshold)]
    # What float32 and LightGBM's bound of zero round, and numbers far outside.
    return [*values, 0.0, -0.0, 1e-40, -1e-36, 1e-35, 0.1, 1 / 3, 16777217.0, 1e12, -1e12]
