"""Reads a native model file with the current library: what the model demands of its features, and its contributions."""

import json
from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import xgboost as xgb

from trendbuy_training.golden import beside

# A serving bundle holds one binary probability model.
PROBABILITIES = {"binary:logistic", "reg:logistic", "binary", "cross_entropy", "xentropy"}


@dataclass
class Native:
    """A model as its file describes it.

    names is None if it was trained without; categories has the names of a categorical feature's categories where the file
    has them, else None; codes is the number of codes that its splits name at the least; thresholds are those of its
    numeric splits, as float32 for XGBoost and as float64 for LightGBM.
    """

    objective: str
    names: list[str] | None
    categorical: list[bool]
    categories: list[list[str] | None]
    codes: list[int]
    thresholds: list[np.ndarray]
    gains: np.ndarray
    booster: xgb.Booster | lgb.Booster

    @property
    def shares(self) -> np.ndarray:
        """Each feature's share of the total gain."""
        total = self.gains.sum()
        return self.gains / total if total > 0 else self.gains

    def beside(self, feature: int, threshold: np.floating) -> tuple[float, ...]:
        """Values on the threshold and on both sides of it, in the arithmetic of the model."""
        if isinstance(self.booster, xgb.Booster):
            return beside(threshold)
        return tuple(float(x) for x in (threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf)))

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """The exact SHAP values of rows, the bias last."""
        if isinstance(self.booster, lgb.Booster):
            return self.booster.predict(rows, pred_contrib=True)
        names, types = self.booster.feature_names, self.booster.feature_types
        data = xgb.DMatrix(rows, feature_names=names, feature_types=types, enable_categorical=True)
        return self.booster.predict(data, pred_contribs=True).astype(np.float64)


def read(path: Path, all_trees: bool) -> Native:
    """Reads the file, without the trees after the best iteration unless all_trees; refuses what no serving bundle holds."""
    model = _lightgbm(path) if path.suffix == ".txt" else _xgboost(path, all_trees)
    if model.objective not in PROBABILITIES:
        raise ValueError(
            f"its objective is {model.objective}: a serving bundle holds one binary probability model, of the objectives "
            f"{', '.join(sorted(PROBABILITIES))}. `riskctl predict` scores the others, from the file that the library saves"
        )
    return model


def _xgboost(path: Path, all_trees: bool) -> Native:
    booster = xgb.Booster(model_file=path)
    best = booster.attr("best_iteration")
    if best is not None and not all_trees:
        booster = booster[: int(best) + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, grower = learner["objective"]["name"], learner["gradient_booster"]
    if grower["name"] == "gblinear":
        raise ValueError("it is a linear model (gblinear), and riskscorer takes trees alone: train with gbtree or dart")
    trees = grower.get("gbtree", grower)["model"]["trees"]
    features = booster.num_features()
    thresholds: list[set] = [set() for _ in range(features)]
    codes = [0] * features
    for tree in trees:
        nodes = zip(tree["left_children"], tree["split_type"], tree["split_indices"], tree["split_conditions"], strict=True)
        for left, kind, feature, condition in nodes:
            # An infinite one only parts missing values from the others.
            if left != -1 and kind == 0 and np.isfinite(condition):
                thresholds[feature].add(np.float32(condition))
        starts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
        for node, start, size in starts:
            feature = tree["split_indices"][node]
            codes[feature] = max(codes[feature], *(code + 1 for code in tree["categories"][start : start + size]))
    categories = _xgboost_categories(booster, features)
    types = booster.feature_types or [""] * features
    categorical = [types[i] == "c" or codes[i] > 0 or categories[i] is not None for i in range(features)]
    gain = booster.get_score(importance_type="total_gain")
    gains = [gain.get(name, 0.0) for name in booster.feature_names or [f"f{i}" for i in range(features)]]
    ordered = [np.array(sorted(t), np.float32) for t in thresholds]
    return Native(objective, booster.feature_names, categorical, categories, codes, ordered, np.array(gains), booster)


def _xgboost_categories(booster: xgb.Booster, features: int) -> list[list[str] | None]:
    """The names that files of XGBoost 3.1 and later have. An integer's digits are its name."""
    exported = booster.get_categories(export_to_arrow=True).to_arrow()
    if not exported:
        return [None] * features
    return [None if names is None else [str(name) for name in names.to_pylist()] for _, names in exported]


def _lightgbm(path: Path) -> Native:
    text = path.read_text(encoding="utf-8")
    if "\nis_linear=1\n" in text:
        raise ValueError("it has linear trees, which LightGBM does not explain: there is nothing to hold reasons to")
    try:
        booster = lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as fault:
        raise ValueError(f"LightGBM cannot read it: {fault}") from fault
    features = booster.num_feature()
    thresholds: list[set] = [set() for _ in range(features)]
    codes = [0] * features
    declared = [line[22:-1] for line in text.splitlines() if line.startswith("[categorical_feature: ")]
    categorical = [str(i) in ",".join(declared).split(",") for i in range(features)]
    for tree in booster.dump_model()["tree_info"]:
        for node in _splits(tree["tree_structure"]):
            feature = node["split_feature"]
            if node["decision_type"] == "==":
                categorical[feature] = True
                codes[feature] = max(codes[feature], *(int(code) + 1 for code in str(node["threshold"]).split("||")))
            elif abs(node["threshold"]) < 1e300:
                thresholds[feature].add(np.float64(node["threshold"]))
    categories: list[list[str] | None] = [None] * features
    listed = booster.pandas_categorical or []
    if len(listed) == sum(categorical):  # they stand in the order of the categorical features
        for feature, names in zip(np.flatnonzero(categorical).tolist(), listed, strict=True):
            categories[feature] = [str(name) for name in names]
    objective = text.partition("\nobjective=")[2].split()[0] if "\nobjective=" in text else "of its user's own"
    gains = booster.feature_importance("gain")
    ordered = [np.array(sorted(t), np.float64) for t in thresholds]
    return Native(objective, booster.feature_name(), categorical, categories, codes, ordered, gains, booster)


def _splits(tree: dict):
    """The inner nodes of a tree, without recursion: a tree may be deep."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if "split_feature" in node:
            yield node
            waiting += [node["left_child"], node["right_child"]]
