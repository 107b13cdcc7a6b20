"""The golden models of the Go loader of XGBoost files: what each of them is, and its training.

A model is trained by the version of XGBoost that its `version` names, because the loader reads the files of
that version: see `training/goldens.sh`.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xgboost as xgb

from .golden_rows import label, matrix, sample

CURRENT = "3.4.1"
TRAINING_ROWS = 3000


@dataclass
class Golden:
    """One model: how it is trained, and what its data are like."""

    name: str
    objective: str
    params: dict = field(default_factory=dict)
    depths: list[int] = field(default_factory=list)  # one round each; else `rounds` rounds of params' depth
    rounds: int = 6
    missing: float = 0.1
    categorical: bool = False
    early_stopping: int = 0
    targets: int = 1
    version: str = CURRENT
    formats: tuple[str, ...] = ()  # the files that are kept; one of the two, in turns, if not named
    rows: int = 100

    @property
    def groups(self) -> int:
        """The number of margins of a row."""
        quantiles = self.params.get("quantile_alpha", 0.5)
        alphas = len(quantiles) if isinstance(quantiles, list) else 1
        return max(self.params.get("num_class", 1), self.targets, alphas)

    @property
    def named_categories(self) -> bool:
        """Whether the model file holds the names of the categories; otherwise rows have their codes."""
        return self.version >= "3.1"


BOTH = ("json", "ubj")
DART = {"booster": "dart", "rate_drop": 0.3, "skip_drop": 0.2, "one_drop": 1}
FOREST = {"num_parallel_tree": 2, "subsample": 0.6, "colsample_bynode": 0.6}
EARLY = FOREST | {"max_depth": 3, "eta": 1.2}  # the later rounds make it worse
LEAFWISE = {"grow_policy": "lossguide", "max_leaves": 20, "max_depth": 0}

GOLDENS = [
    Golden("depths", "binary:logistic", {"base_score": 0.1}, [1, 2, 3, 4, 5, 6, 7, 8] * 3, formats=BOTH, rows=200),
    Golden(
        "missing",
        "binary:logistic",
        {"base_score": 0.9, "tree_method": "exact", "gamma": 4.0},
        [5] * 20,
        missing=0.4,
        formats=BOTH,
        rows=200,
    ),
    Golden("onehot", "binary:logistic", {"max_cat_to_onehot": 100}, [5] * 20, categorical=True, formats=BOTH, rows=200),
    Golden("partition", "binary:logistic", {"max_cat_to_onehot": 1}, [5] * 20, categorical=True, formats=BOTH, rows=200),
    Golden(
        "early_stopping",
        "binary:logistic",
        {"num_parallel_tree": 2, "subsample": 0.5, "eta": 0.5, "max_depth": 4},
        rounds=100,
        early_stopping=3,
        formats=BOTH,
        rows=200,
    ),
    Golden("multiclass", "multi:softprob", {"num_class": 3}, [4] * 8, categorical=True, formats=BOTH, rows=200),
    Golden("regression", "reg:squarederror", depths=[6] * 12, formats=BOTH, rows=200),
    # Splits that only part the missing values from the others: XGBoost writes -Infinity as their threshold.
    Golden(
        "monotone",
        "binary:logistic",
        {"monotone_constraints": {"share": 1, "count": -1}},
        [6] * 12,
        missing=0.5,
        formats=BOTH,
        rows=200,
    ),
    Golden("logitraw", "binary:logitraw", {"base_score": -0.25}, [3] * 20, formats=BOTH, rows=200),
    # 3.4: every objective whose prediction is a function of the margin, and every way to grow trees.
    Golden("dart", "binary:logistic", DART, rounds=10, categorical=True),
    Golden("dart_multiclass", "multi:softprob", DART | {"num_class": 3, "max_depth": 3}),
    Golden("hinge", "binary:hinge"),
    Golden("poisson", "count:poisson"),
    Golden("gamma", "reg:gamma", {"base_score": 1.7}),
    Golden("tweedie", "reg:tweedie", {"tweedie_variance_power": 1.3}),
    Golden("cox", "survival:cox"),
    Golden("aft", "survival:aft", {"aft_loss_distribution": "logistic"}),
    Golden("ndcg", "rank:ndcg"),
    Golden("map", "rank:map"),
    Golden("softmax", "multi:softmax", EARLY | {"num_class": 3}, rounds=30, early_stopping=2),
    Golden("squared_log", "reg:squaredlogerror"),
    Golden("pseudo_huber", "reg:pseudohubererror", {"huber_slope": 2.0}),
    Golden("absolute", "reg:absoluteerror"),
    Golden("quantile", "reg:quantileerror", {"quantile_alpha": 0.8}),
    Golden("quantiles", "reg:quantileerror", {"quantile_alpha": [0.1, 0.5, 0.9], "max_depth": 3}, rounds=4),
    Golden("expectile", "reg:expectileerror", {"expectile_alpha": 0.7}),
    Golden("fraction", "reg:logistic"),
    Golden("multitarget", "reg:squarederror", {"max_depth": 3}, rounds=4, targets=3),
    Golden("multilabel", "binary:logistic", {"max_depth": 3}, rounds=4, targets=3),
    Golden("lossguide", "binary:logistic", LEAFWISE, categorical=True),
    Golden("approx", "binary:logistic", LEAFWISE | {"tree_method": "approx", "max_depth": 6, "max_leaves": 12}),
    Golden("forest", "binary:logistic", FOREST | {"num_parallel_tree": 12, "eta": 1.0}, rounds=1),
    # 3.1: the first version with a vector in base_score, and with names of categories.
    Golden("v3.1-logistic", "binary:logistic", categorical=True, version="3.1.3"),
    Golden("v3.1-multiclass", "multi:softprob", {"num_class": 3, "max_depth": 3}, rounds=4, version="3.1.3"),
    Golden("v3.1-gamma", "reg:gamma", version="3.1.3"),
    Golden("v3.1-multitarget", "reg:squarederror", {"max_depth": 3}, targets=2, version="3.1.3"),
    Golden("v3.0-logistic", "binary:logistic", categorical=True, version="3.0.5"),
    Golden("v3.0-dart", "binary:logistic", DART, version="3.0.5"),
    Golden("v3.0-poisson", "count:poisson", version="3.0.5"),
    Golden("v3.0-softmax", "multi:softmax", FOREST | {"num_class": 3, "max_depth": 3}, rounds=4, version="3.0.5"),
    Golden("v3.0-multilabel", "binary:logistic", {"max_depth": 3}, targets=2, version="3.0.5"),
    Golden("v2.1-logistic", "binary:logistic", LEAFWISE, version="2.1.4"),
    Golden("v2.1-multiclass", "multi:softprob", {"num_class": 3, "max_depth": 3}, rounds=4, version="2.1.4"),
    Golden("v2.0-logistic", "binary:logistic", {"max_cat_to_onehot": 3}, categorical=True, version="2.0.3"),
    Golden("v2.0-exact", "reg:squarederror", {"tree_method": "exact"}, missing=0.4, version="2.0.3"),
    Golden("v2.0-dart", "reg:squarederror", DART, version="2.0.3"),
    Golden("v2.0-hinge", "binary:hinge", version="2.0.3"),
    Golden("v2.0-tweedie", "reg:tweedie", version="2.0.3"),
    Golden("v2.0-ndcg", "rank:ndcg", version="2.0.3"),
    Golden("v2.0-quantiles", "reg:quantileerror", {"quantile_alpha": [0.2, 0.8], "max_depth": 3}, version="2.0.3"),
    Golden("v2.0-multiclass", "multi:softprob", EARLY | {"num_class": 3}, rounds=30, early_stopping=1, version="2.0.3"),
    Golden("v2.0-multitarget", "reg:absoluteerror", {"max_depth": 3}, targets=2, version="2.0.3"),
    Golden("v1.7-logistic", "binary:logistic", categorical=True, version="1.7.6", formats=BOTH),
    Golden("v1.7-exact", "binary:logistic", {"tree_method": "exact", "base_score": 0.2}, version="1.7.6"),
    Golden("v1.7-approx", "reg:squarederror", LEAFWISE | {"tree_method": "approx"}, version="1.7.6"),
    Golden("v1.7-dart", "binary:logistic", DART | {"base_score": 0.3}, version="1.7.6", formats=BOTH),
    Golden("v1.7-dart_multiclass", "multi:softprob", DART | {"num_class": 3, "max_depth": 3}, rounds=4, version="1.7.6"),
    Golden("v1.7-poisson", "count:poisson", version="1.7.6"),
    Golden("v1.7-gamma", "reg:gamma", {"base_score": 2.0}, version="1.7.6"),
    Golden("v1.7-aft", "survival:aft", version="1.7.6"),
    Golden("v1.7-cox", "survival:cox", version="1.7.6"),
    Golden("v1.7-logitraw", "binary:logitraw", version="1.7.6"),
    Golden("v1.7-pairwise", "rank:pairwise", version="1.7.6"),
    Golden("v1.7-softmax", "multi:softmax", {"num_class": 3, "max_depth": 3}, rounds=4, version="1.7.6"),
    Golden("v1.7-absolute", "reg:absoluteerror", version="1.7.6"),
    Golden("v1.7-early_stopping", "binary:logistic", EARLY, rounds=30, early_stopping=2, version="1.7.6"),
    Golden("v1.7-early_classes", "multi:softprob", EARLY | {"num_class": 3}, rounds=30, early_stopping=1, version="1.7.6"),
    Golden("v1.7-multilabel", "binary:logistic", {"max_depth": 3}, targets=2, version="1.7.6"),
    # A model's seed is its place in this list: what is new comes last.
    # 3.3: the only version with a dart model's weights where they are neither before nor after.
    Golden("v3.3-dart", "binary:logistic", DART, rounds=10, version="3.3.0"),
    Golden("v3.3-dart_multiclass", "multi:softprob", DART | {"num_class": 3, "max_depth": 3}, version="3.3.0"),
    Golden("quantiles_crossing", "reg:quantileerror", {"quantile_alpha": [0.45, 0.5, 0.55], "eta": 0.9, "max_depth": 5}, rounds=6),
]


def train(golden: Golden, seed: int) -> xgb.Booster:
    """Trains the model on rows drawn for it, on one thread, so that it comes out the same every time."""
    rng = np.random.default_rng(seed)
    frame, valid = sample(golden, TRAINING_ROWS, rng), sample(golden, TRAINING_ROWS, rng)
    data = matrix(golden, frame, label(golden, frame, rng))
    params = {"objective": golden.objective, "tree_method": "hist", "eta": 0.3, "max_depth": 4, "seed": seed, "nthread": 1}
    params |= golden.params
    if golden.early_stopping:
        evals = [(matrix(golden, valid, label(golden, valid, rng)), "valid")]
        rounds = {"early_stopping_rounds": golden.early_stopping, "evals": evals, "verbose_eval": False}
        booster = xgb.train(params, data, golden.rounds, **rounds)
        if int(booster.attr("best_iteration")) == booster.num_boosted_rounds() - 1:
            raise SystemExit(f"{golden.name}: training did not stop after its best round")
        return booster
    if not golden.depths:
        return xgb.train(params, data, golden.rounds)
    booster = None
    for depth in golden.depths:
        booster = xgb.train(params | {"max_depth": depth}, data, 1, xgb_model=booster)
    return booster


def thresholds(booster: xgb.Booster) -> pd.DataFrame:
    """Returns the numeric splits: the columns Feature and Split."""
    return booster.trees_to_dataframe()[["Feature", "Split"]].dropna()
