"""Makes the models and rows that the Go loader of LightGBM files is tested against.

Each model has a folder of its own: model.txt as LightGBM saves it, rows.csv (a header of feature names, an empty
cell for a missing value, categories by name) and expected.csv, LightGBM's own raw scores, predictions and
contributions of those rows in the columns of `riskctl predict --contributions`:

    python -m trendbuy_training.goldens_lightgbm ../scoring/forest/lightgbm/testdata

A model belongs to one version of LightGBM. This writes those of the version that runs it, and checks that the numbers
of the others, which are there already, are also its own. Old versions need old Pythons, so this file runs on 3.7.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

TRAINING_ROWS = 2000
GOLDEN_ROWS = 100
CURRENT = "4.7.0"
ZERO_BOUND = float(np.float32(1e-35))  # LightGBM takes what is nearer to zero for zero
DEVICES = ["mobile", "desktop", "tablet", "app", "smart télé"]


@dataclass
class Golden:
    """One model: how it is trained, and what its data are like."""

    name: str
    objective: str
    params: dict = field(default_factory=dict)
    rounds: int = 10
    leaves: int = 12
    missing: float = 0.1
    categories: str = ""  # "names" of pandas, or "codes"
    early_stopping: int = 0
    library: str = CURRENT

    @property
    def classes(self) -> int:
        return self.params.get("num_class", 1)


GOLDENS = [
    Golden("binary", "binary", leaves=31, rounds=12),
    Golden("steep", "binary", {"sigmoid": 2.5, "scale_pos_weight": 3.0}),
    Golden("zero_as_missing", "binary", {"zero_as_missing": True}, rounds=15),
    Golden("no_missing", "binary", {"use_missing": False}, rounds=15),
    Golden("categories", "binary", {"max_cat_to_onehot": 1, "min_data_per_group": 5}, categories="names"),
    Golden("onehot", "binary", {"max_cat_to_onehot": 100}, categories="names"),
    Golden("codes", "binary", {"max_cat_to_onehot": 1, "min_data_per_group": 5}, categories="codes"),
    Golden("early_stopping", "binary", {"learning_rate": 0.5}, rounds=200, early_stopping=3),
    Golden("dart", "binary", {"boosting": "dart", "drop_rate": 0.5}),
    Golden("forest", "binary", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
    Golden("forest_regression", "regression", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, rounds=7),
    Golden("goss", "binary", {"data_sample_strategy": "goss", "learning_rate": 0.3}),
    Golden("constant", "binary", {"min_data_in_leaf": TRAINING_ROWS}),
    Golden("monotone", "binary", {"monotone_constraints": [1, 0, -1, 0, 0, 0], "path_smooth": 1.0}, missing=0.4),
    Golden("deep", "regression", {"min_data_in_leaf": 1, "max_bin": 1000}, leaves=100, rounds=3),
    Golden("sqrt", "regression", {"reg_sqrt": True}),
    Golden("l1", "regression_l1"),
    Golden("huber", "huber"),
    Golden("quantile", "quantile", {"alpha": 0.8}),
    Golden("poisson", "poisson"),
    Golden("gamma", "gamma"),
    Golden("tweedie", "tweedie", {"tweedie_variance_power": 1.3}),
    Golden("cross_entropy", "cross_entropy"),
    Golden("cross_entropy_lambda", "cross_entropy_lambda"),
    Golden("multiclass", "multiclass", {"num_class": 3}, rounds=4, leaves=8, categories="names"),
    Golden("multiclassova", "multiclassova", {"num_class": 3, "sigmoid": 1.5}, rounds=4, leaves=8),
    Golden("lambdarank", "lambdarank"),
    Golden("custom", "custom"),
    Golden("linear", "regression", {"linear_tree": True, "linear_lambda": 0.1}, rounds=6),
    Golden("linear_categories", "binary", {"linear_tree": True}, rounds=6, categories="codes"),
    Golden("v3_linear", "binary", {"linear_tree": True}, rounds=6, library="3.3.5"),
    Golden("v3_categories", "binary", {"max_cat_to_onehot": 1, "min_data_per_group": 5}, categories="names", library="3.3.5"),
    Golden("v3_multiclass", "multiclass", {"num_class": 3}, rounds=4, leaves=8, library="3.3.5"),
    Golden("v2_zero_as_missing", "binary", {"zero_as_missing": True}, library="2.2.3"),
    Golden("v2_codes", "binary", {"max_cat_to_onehot": 1, "min_data_per_group": 5}, categories="codes", library="2.2.3"),
    Golden("v2_xentropy", "xentropy", library="2.2.3"),
    Golden("v2_forest", "binary", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, library="2.2.3"),
    # Splits that only part the missing values from the others: LightGBM writes inf as their threshold.
    Golden("missing", "binary", {"max_bin": 3}, rounds=8, leaves=8, missing=0.5),
]


def sample(golden: Golden, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draws features of several kinds: smooth, skewed, integer, signed, around zero, sparse, and categorical ones."""
    frame = pd.DataFrame(
        {
            "share": rng.random(rows),
            "velocity": rng.lognormal(3.0, 1.5, rows),
            "count": rng.integers(0, 20, rows).astype(float),
            "hours": rng.normal(0.0, 10.0, rows),
            "tiny": rng.normal(0.0, 1.0, rows) * 1e-34,
            "sparse": np.where(rng.random(rows) < 0.7, 0.0, rng.normal(0.0, 1.0, rows)),
        }
    )
    if golden.categories:
        frame["device"] = rng.integers(0, len(DEVICES), rows).astype(float)
        frame["shop"] = rng.integers(0, 70, rows).astype(float)
    return frame.mask(rng.random(frame.shape) < golden.missing)


def named(golden: Golden, frame: pd.DataFrame) -> pd.DataFrame:
    """Gives the codes of categorical features their names, strings and numbers, where the model has names."""
    if golden.categories != "names":
        return frame
    names = {"device": DEVICES, "shop": list(range(100, 170))}
    categories = {
        name: pd.Categorical.from_codes(frame[name].fillna(-1).astype(int), categories=values)
        for name, values in names.items()
    }
    return frame.assign(**categories)


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
    if golden.categories:
        risk = risk + 0.6 * (frame["device"].fillna(1.0) % 3) + 0.3 * (frame["shop"].fillna(2.0) * 7 % 5)
    risk = (risk - risk.mean() + rng.logistic(0.0, 1.0, len(frame))).to_numpy()
    if golden.classes > 1:
        return np.digitize(risk, np.quantile(risk, [0.4, 0.7]))
    if golden.objective == "lambdarank":
        return np.digitize(risk, np.quantile(risk, [0.5, 0.8, 0.95]))
    if golden.objective in ("poisson", "gamma", "tweedie"):
        return np.exp(risk / 4.0)
    if golden.objective in ("cross_entropy", "cross_entropy_lambda", "xentropy"):
        return 1.0 / (1.0 + np.exp(-risk))
    return (risk > 0.5).astype(int) if golden.objective in ("binary", "custom") else risk


def train(golden: Golden, seed: int) -> lgb.Booster:
    rng = np.random.default_rng(seed)
    params = {"objective": golden.objective, "num_leaves": golden.leaves, "learning_rate": 0.2, "min_data_in_leaf": 10}
    params.update({"seed": seed, "num_threads": 1, "deterministic": True, "verbosity": -1}, **golden.params)
    if golden.objective == "custom":
        params["objective"] = lambda margins, data: (margins - data.get_label(), np.ones_like(margins))
    data = dataset(golden, params, rng)
    if not golden.early_stopping:
        return lgb.train(params, data, golden.rounds)
    valid = dataset(golden, params, rng, reference=data)
    stop = lgb.early_stopping(golden.early_stopping, verbose=False)
    return lgb.train(params, data, golden.rounds, valid_sets=[valid], callbacks=[stop])


def dataset(golden: Golden, params: dict, rng: np.random.Generator, reference: lgb.Dataset | None = None) -> lgb.Dataset:
    frame = sample(golden, TRAINING_ROWS, rng)
    categorical = [6, 7] if golden.categories == "codes" else "auto"
    group = [20] * (TRAINING_ROWS // 20) if golden.objective == "lambdarank" else None
    outcome = label(golden, frame, rng)
    data = named(golden, frame)
    return lgb.Dataset(data, outcome, group=group, params=params, categorical_feature=categorical, reference=reference)


def thresholds(booster: lgb.Booster, feature: int) -> list[float]:
    """The thresholds of a numeric feature, without those at the ends of float64, which stand for infinity."""
    found = set()
    for tree in booster.dump_model()["tree_info"]:
        nodes = [tree["tree_structure"]]
        while nodes:
            node = nodes.pop()
            if "split_feature" not in node:
                continue
            nodes += [node["left_child"], node["right_child"]]
            if node["split_feature"] == feature and node["decision_type"] == "<=":
                found.add(float(node["threshold"]))
    return sorted(t for t in found if abs(t) < 1e300)


def golden_rows(golden: Golden, booster: lgb.Booster, rng: np.random.Generator) -> pd.DataFrame:
    """Draws rows of the training kind, then puts values on and beside thresholds, and at the ends of what counts as zero."""
    frame = sample(golden, GOLDEN_ROWS, rng)
    zeros = [0.0, -0.0, 1e-36, 1e-35, ZERO_BOUND, np.nextafter(ZERO_BOUND, 1.0), 1e-310, 1.5e-35, 1e-34]
    for index, name in enumerate(frame.columns[:6]):
        odd = zeros + [-x for x in zeros] + [1e300, -1e300, np.nan]
        for t in rng.permutation(thresholds(booster, index))[:10]:
            odd += [t, np.nextafter(t, -np.inf), np.nextafter(t, np.inf), float(np.float32(t))]
        put(frame, name, odd, rng)
    if golden.categories == "codes":
        for name in ("device", "shop"):
            put(frame, name, [-1.0, -0.5, -1e-36, 0.999, 2.7, 5.0, 63.5, 64.0, 95.0, 96.0, 1e6, 2.0**24, 2.0**31, 1e18], rng)
    frame.iloc[0] = np.nan
    return frame


def put(frame: pd.DataFrame, name: str, values: list[float], rng: np.random.Generator) -> None:
    """Writes the values to places of a column drawn without repetition."""
    places = rng.choice(len(frame), min(len(values), len(frame)), replace=False)
    frame.loc[places, name] = values[: len(places)]


def expected(golden: Golden, booster: lgb.Booster, frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Returns the columns that LightGBM computes. It does not explain linear trees."""
    suffixes = [f"_{g}" for g in range(golden.classes)] if golden.classes > 1 else [""]
    names = [f"margin{s}" for s in suffixes] + [f"prediction{s}" for s in suffixes]
    values = [booster.predict(frame, raw_score=True), booster.predict(frame)]
    if not golden.params.get("linear_tree"):
        names += [f"contrib{s}:{feature}" for s in suffixes for feature in [*frame.columns, "bias"]]
        values.append(booster.predict(frame, pred_contrib=True))
    return names, np.hstack([v.reshape(len(frame), -1) for v in values])


def write(golden: Golden, seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    train(golden, seed).save_model(str(folder / "model.txt"))
    booster = lgb.Booster(model_file=str(folder / "model.txt"))
    frame = named(golden, golden_rows(golden, booster, np.random.default_rng(seed + 1000)))
    frame.to_csv(folder / "rows.csv", index=False, **LINES)
    names, values = expected(golden, booster, frame)
    with (folder / "expected.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        out.writerows([repr(float(v)) for v in row] for row in values)


def check(golden: Golden, folder: Path) -> None:
    """Raises ValueError if the numbers of the version that wrote the model are not this version's."""
    booster = lgb.Booster(model_file=str(folder / "model.txt"))
    frame = pd.read_csv(folder / "rows.csv")
    if golden.categories == "names":
        codes = {"device": DEVICES, "shop": list(range(100, 170))}
        for name, values in codes.items():
            places = {v: float(i) for i, v in enumerate(values)}
            frame[name] = frame[name].map(places)
        frame = named(golden, frame)
    names, values = expected(golden, booster, frame)
    written = pd.read_csv(folder / "expected.csv")
    if names != list(written.columns) or not np.allclose(values, written.to_numpy(), rtol=1e-12, atol=1e-12):
        raise ValueError(f"{golden.name}: LightGBM {lgb.__version__} computes other numbers than {golden.library}")


LINES = {"lineterminator": "\n"} if int(pd.__version__.split(".")[0]) >= 2 else {"line_terminator": "\n"}

README = """# Golden models

Written by `python -m trendbuy_training.goldens_lightgbm` (training/) with LightGBM {lightgbm}, NumPy {numpy} and pandas {pandas};
those whose names begin with v3 with LightGBM 3.3.5, NumPy 1.24.4 and pandas 2.0.3 on Python 3.8, and with v2 with LightGBM 2.2.3,
NumPy 1.18.5 and pandas 0.25.3 on Python 3.7; the run of the current version holds their numbers to its own.
Each folder is one model: `model.txt`, `rows.csv`, and `expected.csv` with LightGBM's own raw scores, predictions and contributions;
none of linear trees, which it does not explain. Rows stand on thresholds, one float64 beside them, and at the ends of what counts as zero;
codes of categories are also unknown, negative and fractional.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the models' folders go")
    root = parser.parse_args().folder
    for seed, golden in enumerate(GOLDENS):
        if golden.library == lgb.__version__:
            write(golden, seed, root / golden.name)
        elif lgb.__version__ == CURRENT:
            check(golden, root / golden.name)
    if lgb.__version__ == CURRENT:
        versions = {"lightgbm": lgb.__version__, "numpy": np.__version__, "pandas": pd.__version__}
        (root / "README.md").write_text(README.format(**versions), encoding="utf-8")


if __name__ == "__main__":
    main()
