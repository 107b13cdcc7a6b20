"""Makes the models and rows that the Go loader of XGBoost files is tested against.

Each model has a folder of its own: model.json and model.ubj as XGBoost saves them, rows.csv (a header of
feature names, an empty cell for a missing value, categories by name) and expected.csv, XGBoost's own
margins, predictions and contributions of those rows in the columns of `riskctl predict --contributions`:

    python -m trendbuy_training.goldens ../scoring/forest/xgboost/testdata
"""

import argparse
import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

TRAINING_ROWS = 3000
GOLDEN_ROWS = 200
FLOAT32 = np.finfo(np.float32)
DEVICES = ["mobile", "desktop", "tablet", "app", "smart télé"]


@dataclass
class Golden:
    """One model: how it is trained, and what its data are like."""

    name: str
    objective: str
    params: dict = field(default_factory=dict)
    depths: list[int] = field(default_factory=lambda: [5] * 20)
    missing: float = 0.1
    categorical: bool = False
    early_stopping: int = 0

    @property
    def classes(self) -> int:
        return self.params.get("num_class", 1)


GOLDENS = [
    Golden("depths", "binary:logistic", {"base_score": 0.1}, depths=[1, 2, 3, 4, 5, 6, 7, 8] * 3),
    Golden("missing", "binary:logistic", {"base_score": 0.9, "tree_method": "exact", "gamma": 4.0}, missing=0.4),
    Golden("onehot", "binary:logistic", {"max_cat_to_onehot": 100}, categorical=True),
    Golden("partition", "binary:logistic", {"max_cat_to_onehot": 1}, categorical=True),
    Golden(
        "early_stopping",
        "binary:logistic",
        {"num_parallel_tree": 2, "subsample": 0.5, "eta": 0.5},
        depths=[4] * 100,
        early_stopping=3,
    ),
    Golden("multiclass", "multi:softprob", {"num_class": 3}, depths=[4] * 8, categorical=True),
    Golden("regression", "reg:squarederror", depths=[6] * 12),
    # Splits that only part the missing values from the others: XGBoost writes -Infinity as their threshold.
    Golden("monotone", "binary:logistic", {"monotone_constraints": {"share": 1, "count": -1}}, [6] * 12, missing=0.5),
    Golden("logitraw", "binary:logitraw", {"base_score": -0.25}, depths=[3] * 20),
]


def sample(golden: Golden, rows: int, rng: np.random.Generator) -> pd.DataFrame:
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
        shops = [f"shop {i}" for i in range(40)]
        frame["device"] = categories(rng.choice(DEVICES, rows), DEVICES, golden.missing, rng)
        frame["shop"] = categories(rng.choice(shops, rows), shops, golden.missing, rng)
        sizes = [36, 38, 40, 42]
        frame["size"] = categories(rng.choice(sizes, rows), sizes, golden.missing, rng)
    return frame


def categories(values, names, missing: float, rng: np.random.Generator) -> pd.Categorical:
    column = pd.Series(pd.Categorical(values, categories=names))
    return column.mask(rng.random(len(column)) < missing)


def label(golden: Golden, frame: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
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
    risk = risk - risk.mean() + rng.logistic(0.0, 1.0, len(frame))
    if golden.classes > 1:
        return np.digitize(risk, np.quantile(risk, [0.4, 0.7]))
    return risk.to_numpy() if golden.objective.startswith("reg:") else (risk > 0.5).astype(int)


def train(golden: Golden, seed: int) -> xgb.Booster:
    """Trains rounds of the golden's depths, one after the other."""
    rng = np.random.default_rng(seed)
    frame, valid = sample(golden, TRAINING_ROWS, rng), sample(golden, TRAINING_ROWS, rng)
    data = matrix(frame, label(golden, frame, rng))
    params = {"objective": golden.objective, "tree_method": "hist", "eta": 0.3, "seed": seed, "nthread": 1}
    params |= golden.params
    if golden.early_stopping:
        evals = [(matrix(valid, label(golden, valid, rng)), "valid")]
        return xgb.train(
            params | {"max_depth": golden.depths[0]},
            data,
            len(golden.depths),
            evals=evals,
            early_stopping_rounds=golden.early_stopping,
            verbose_eval=False,
        )
    booster = None
    for depth in golden.depths:
        booster = xgb.train(params | {"max_depth": depth}, data, 1, xgb_model=booster)
    return booster


def matrix(frame: pd.DataFrame, outcome=None) -> xgb.DMatrix:
    return xgb.DMatrix(frame, outcome, enable_categorical=True)


def golden_rows(golden: Golden, booster: xgb.Booster, rng: np.random.Generator) -> pd.DataFrame:
    """Draws rows of the training kind, then puts values on and beside thresholds, and at the ends of float32.

    Some of them are float64 values between two float32 ones, because the rounding decides their side.
    """
    frame = sample(golden, GOLDEN_ROWS, rng)
    numeric = [name for name in frame.columns if frame[name].dtype == float]
    splits = booster.trees_to_dataframe()
    for name in numeric:
        thresholds = splits.loc[splits["Feature"] == name, "Split"].dropna().unique().astype(np.float32)
        odd = [0.0, -0.0, 1e-45, -1e-45, 1e-310, 1.1754942e-38, float(FLOAT32.max), -float(FLOAT32.max)]
        for t in rng.permutation(thresholds)[:12]:
            below, above = np.nextafter(t, -FLOAT32.max), np.nextafter(t, FLOAT32.max)
            odd += [float(t), float(below), float(above)]
            odd += [np.nextafter(float(t), -np.inf), (float(t) + float(below)) / 2, float(t) * 0.7 + float(below) * 0.3]
        places = rng.choice(GOLDEN_ROWS, min(len(odd), GOLDEN_ROWS), replace=False)
        frame.loc[places, name] = odd[: len(places)]
    frame.iloc[0] = np.nan
    return frame


def expected(golden: Golden, booster: xgb.Booster, frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Returns the columns that XGBoost computes, with the trees that its scikit-learn classes would use."""
    rounds = (0, booster.best_iteration + 1) if golden.early_stopping else (0, 0)
    data = matrix(frame)
    margins = booster.predict(data, output_margin=True, iteration_range=rounds).reshape(len(frame), -1)
    predictions = booster.predict(data, iteration_range=rounds).reshape(len(frame), -1)
    contributions = booster.predict(data, pred_contribs=True, iteration_range=rounds).reshape(len(frame), -1)
    suffixes = [f"_{g}" for g in range(golden.classes)] if golden.classes > 1 else [""]
    names = [f"margin{s}" for s in suffixes] + [f"prediction{s}" for s in suffixes]
    names += [f"contrib{s}:{feature}" for s in suffixes for feature in [*frame.columns, "bias"]]
    return names, np.hstack([margins, predictions, contributions])


def write(golden: Golden, seed: int, root: Path) -> None:
    folder = root / golden.name
    folder.mkdir(parents=True, exist_ok=True)
    booster = train(golden, seed)
    booster.save_model(folder / "model.json")
    booster.save_model(folder / "model.ubj")
    frame = golden_rows(golden, booster, np.random.default_rng(seed + 1000))
    frame.to_csv(folder / "rows.csv", index=False, lineterminator="\n")
    names, values = expected(golden, booster, frame)
    with (folder / "expected.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        out.writerows([str(v) for v in row] for row in values.astype(np.float32))


README = """# Golden models

Written by `python -m trendbuy_training.goldens` (training/) with XGBoost {xgboost}, NumPy {numpy} and pandas {pandas}.
Each folder is one model: `model.json`, `model.ubj`, `rows.csv`, and `expected.csv` with XGBoost's own margins, predictions
and contributions. Rows stand on thresholds, one float32 beside them, between two float32 values, and at the ends of float32.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models' folders go")
    root = parser.parse_args().folder
    for seed, golden in enumerate(GOLDENS):
        write(golden, seed, root)
    versions = {"xgboost": xgb.__version__, "numpy": np.__version__, "pandas": pd.__version__}
    (root / "README.md").write_text(README.format(**versions), encoding="utf-8")


if __name__ == "__main__":
    main()
