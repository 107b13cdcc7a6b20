"""The rows of the golden models: drawn features, an outcome in which they matter, and rows on the thresholds."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

FLOAT32 = np.finfo(np.float32)
CATEGORIES = {
    "device": ["mobile", "desktop", "tablet", "app", "smart télé"],
    "shop": [f"shop {i}" for i in range(40)],
    "size": [36, 38, 40, 42],
}
QUERY = 20  # rows of one query of a ranking


def categories(golden) -> dict[str, list]:
    """Returns the names of the categories. XGBoost 3.1 cuts names off that are not ASCII."""
    if golden.version.startswith("3.1."):
        return CATEGORIES | {"device": ["mobile", "desktop", "tablet", "app", "tv"]}
    return CATEGORIES


def sample(golden, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draws features of several kinds: smooth, skewed, integer, signed, rare, and categorical ones."""
    frame = pd.DataFrame(
        {
            "share": rng.random(rows),
            "velocity": rng.lognormal(3.0, 1.5, rows),
            "count": rng.integers(0, 20, rows).astype(float),
            "hours": rng.normal(0.0, 10.0, rows),
            "tiny": rng.normal(0.0, 1.0, rows) * 1e-38,
            "sparse": np.where(rng.random(rows) < 0.8, 0.0, rng.normal(0.0, 1.0, rows)),
        }
    )
    frame = frame.mask(rng.random(frame.shape) < golden.missing)
    if golden.categorical:
        for name, names in categories(golden).items():
            column = pd.Series(pd.Categorical(rng.choice(names, rows), categories=names))
            frame[name] = column.mask(rng.random(rows) < golden.missing)
    return frame


def label(golden, frame: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Computes an outcome in which every feature matters, alone and together with others."""
    risk = (
        2.0 * frame["share"].fillna(0.3)
        + 0.4 * np.log1p(frame["velocity"].fillna(5.0))
        - 0.1 * frame["count"].fillna(4.0)
        + 0.05 * frame["hours"].fillna(0.0) * frame["share"].fillna(0.5)
        + 0.5 * np.sign(frame["tiny"].fillna(0.0))
        + frame["sparse"].fillna(1.0)
    )
    if golden.categorical:
        risk = risk + 0.6 * (frame["device"].cat.codes % 3) + 0.3 * (frame["shop"].cat.codes * 7 % 5)
        risk = risk - 0.5 * frame["size"].cat.codes
    risk = (risk - risk.mean() + rng.logistic(0.0, 1.0, len(frame))).to_numpy()
    if golden.targets > 1:
        risk = np.column_stack([risk * (1.0 - 0.7 * k) + k for k in range(golden.targets)])
    return outcome(golden, risk, rng)


def outcome(golden, risk: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brings the risk into the range that the objective takes."""
    match golden.objective:
        case "multi:softprob" | "multi:softmax":
            return np.digitize(risk, np.quantile(risk, [0.4, 0.7]))
        case "rank:ndcg" | "rank:pairwise":
            return np.digitize(risk, np.quantile(risk, [0.5, 0.7, 0.9]))
        case "reg:logistic":
            return 1.0 / (1.0 + np.exp(-risk))
        case "count:poisson":
            return rng.poisson(np.exp(risk / 3.0)).astype(float)
        case "reg:tweedie":
            return rng.poisson(1.0, len(risk)) * np.exp(risk / 3.0)
        case "survival:cox":  # a negative time is one until which nothing had happened
            return np.exp(-risk / 3.0) * np.where(rng.random(len(risk)) < 0.3, -1.0, 1.0)
        case "reg:gamma" | "reg:squaredlogerror" | "survival:aft":
            return np.exp(risk / 3.0)
    return risk if golden.objective.startswith("reg:") else (risk > 0.5).astype(int)


def matrix(golden, frame: pd.DataFrame, outcome=None) -> xgb.DMatrix:
    """Makes what XGBoost trains on and predicts."""
    if outcome is None:
        return xgb.DMatrix(frame, enable_categorical=True)
    if golden.objective == "survival:aft":  # every fourth time is only known to be later
        data = xgb.DMatrix(frame, enable_categorical=True)
        data.set_float_info("label_lower_bound", outcome)
        data.set_float_info("label_upper_bound", np.where(np.arange(len(outcome)) % 4 == 0, np.inf, outcome))
        return data
    data = xgb.DMatrix(frame, outcome, enable_categorical=True)
    if golden.objective.startswith("rank:"):
        data.set_group([QUERY] * (len(frame) // QUERY))
    return data


def golden_rows(golden, splits: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draws rows of the training kind, then puts values on and beside thresholds, and at the ends of float32.

    Some of them are float64 values between two float32 ones, because the rounding decides their side.
    """
    frame = sample(golden, golden.rows, rng)
    numeric = [name for name in frame.columns if frame[name].dtype == float]
    for name in numeric:
        thresholds = splits.loc[splits["Feature"] == name, "Split"].unique().astype(np.float32)
        odd = [0.0, -0.0, 1e-45, -1e-45, 1e-310, 1.1754942e-38, float(FLOAT32.max), -float(FLOAT32.max)]
        for t in rng.permutation(thresholds)[:12]:
            below, above = np.nextafter(t, -FLOAT32.max), np.nextafter(t, FLOAT32.max)
            odd += [float(t), float(below), float(above)]
            odd += [np.nextafter(float(t), -np.inf), (float(t) + float(below)) / 2, float(t) * 0.7 + float(below) * 0.3]
        places = rng.choice(golden.rows, min(len(odd), golden.rows), replace=False)
        frame.loc[places, name] = odd[: len(places)]
    frame.iloc[0] = np.nan
    return frame


def write_rows(golden, frame: pd.DataFrame, path: Path) -> None:
    """Writes a header of feature names and a row a line: an empty cell is a missing value."""
    frame = frame.copy()
    if golden.categorical and not golden.named_categories:
        for name in CATEGORIES:
            codes = frame[name].cat.codes.astype("Int64")
            frame[name] = codes.mask(codes < 0)
    frame.to_csv(path, index=False, lineterminator="\n")


def read_rows(golden, path: Path) -> pd.DataFrame:
    """Reads what write_rows wrote, to the bit."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *records = csv.reader(file)
    columns = {}
    for i, name in enumerate(header):
        cells = [record[i] for record in records]
        if name not in CATEGORIES:
            columns[name] = [float(cell) if cell else np.nan for cell in cells]
            continue
        names = categories(golden)[name]
        texts = [str(n) for n in (names if golden.named_categories else range(len(names)))]
        codes = [texts.index(cell) if cell else -1 for cell in cells]
        columns[name] = pd.Categorical.from_codes(codes, categories=names)
    return pd.DataFrame(columns)
