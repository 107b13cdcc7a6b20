"""The models and rows of the engine benchmark, in every form that a peer reads.

A folder per model holds model.ubj and model.json (XGBoost), model.txt (the same trees as LightGBM text), model.onnx, and
rows.f64 (row-major little-endian float64 values that are float32 numbers, so that every peer sees the same). A model of
several classes, or with categories, has no other form than XGBoost's.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost as xgb

ROWS = 65_536
SEED = 4
MISSING = 0.05
CATEGORIES = 12


@dataclass(frozen=True)
class Model:
    name: str
    text: str
    features: int
    trees: int
    train_rows: int
    parameters: dict
    classes: int = 1
    categorical: int = 0  # how many features, the first ones, are one of CATEGORIES categories

    @property
    def convertible(self) -> bool:
        """Whether every peer has a form for it."""
        return self.classes == 1 and self.categorical == 0


MODELS = (
    Model("A", "300 trees of depth 6, 8 features", 8, 300, 30_000, {"max_depth": 6}),
    Model("B", "500 leaf-wise trees of 31 leaves, 28 features", 28, 500, 50_000,
          {"grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0}),
    Model("C", "100 trees of depth 10, 28 features", 28, 100, 100_000, {"max_depth": 10}),
    Model("D", "300 trees of depth 6, 28 features, for more than 64 columns", 28, 300, 30_000, {"max_depth": 6}),
    Model("E", "3 classes of 100 trees of depth 6, 8 features", 8, 100, 30_000, {"max_depth": 6}, classes=3),
    Model("F", "300 trees of depth 6, 8 features, 3 of them categories", 8, 300, 30_000, {"max_depth": 6}, categorical=3),
)


def make(model: Model, folder: Path) -> None:
    """Trains the model and writes all its forms, unless a run before has."""
    done = folder / "done"
    recipe = f"{xgb.__version__} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"
    if done.exists() and done.read_text() == recipe:
        return
    shutil.rmtree(folder, ignore_errors=True)  # with what peers compiled of the model before
    folder.mkdir(parents=True)
    x, z = draw(model, model.train_rows, SEED)
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "learning_rate": 0.1, "nthread": 1, "seed": SEED}
    if model.classes > 1:
        parameters |= {"objective": "multi:softprob", "num_class": model.classes}
    y = np.searchsorted(np.quantile(z, np.arange(1, model.classes) / model.classes), z) if model.classes > 1 else z > 0
    types = ["c"] * model.categorical + ["float"] * (model.features - model.categorical)
    data = xgb.DMatrix(x, y, nthread=1, feature_types=types, enable_categorical=True)
    booster = xgb.train(parameters | model.parameters, data, model.trees)
    booster.save_model(folder / "model.ubj")
    booster.save_model(folder / "model.json")
    if model.convertible:
        trees, base = read_trees(folder)
        (folder / "model.txt").write_text(lightgbm_text(trees, base, model.features))
        write_onnx(trees, base, model.features, folder / "model.onnx")
    draw(model, ROWS, SEED + 1)[0].astype("<f8").tofile(folder / "rows.f64")
    done.write_text(recipe)


def draw(model: Model, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws rows, and what labels are made of: interactions between features, and noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, model.features)).astype(np.float32)
    z = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3] * (x[:, 4] > 0)
    for i in range(5, model.features):
        z += 0.2 * np.cos(x[:, i] * (i % 3 + 1))
    z += random.normal(size=rows)
    for i in range(model.categorical):  # in an order that has nothing to do with the codes'
        codes = np.random.default_rng(i).permutation(CATEGORIES)
        x[:, i] = codes[np.clip((x[:, i] + 2) / 4 * CATEGORIES, 0, CATEGORIES - 1).astype(int)]
    x[random.random(x.shape) < MISSING] = np.nan
    return x, z


def read_rows(folder: Path, features: int) -> np.ndarray:
    return np.fromfile(folder / "rows.f64", "<f8").reshape(-1, features)


@dataclass(frozen=True)
class Tree:
    """One XGBoost tree as arrays by node; left is -1 in a leaf. x < threshold goes left."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    default_left: np.ndarray
    cover: np.ndarray

    @property
    def at_most(self) -> np.ndarray:
        """The thresholds for engines that send x <= threshold left: the float32 just below."""
        return np.nextafter(self.threshold, np.float32(-np.inf))


def read_trees(folder: Path) -> tuple[list[Tree], np.float32]:
    """Reads model.json: the trees, and the margin before any of them."""
    learner = json.loads((folder / "model.json").read_text())["learner"]
    score = np.float32(json.loads(learner["learner_model_param"]["base_score"])[0])
    trees = [
        Tree(
            np.array(t["left_children"], np.int32),
            np.array(t["right_children"], np.int32),
            np.array(t["split_indices"], np.int32),
            np.array(t["split_conditions"], np.float32),
            np.array(t["default_left"], bool),
            np.array(t["sum_hessian"], np.float32),
        )
        for t in learner["gradient_booster"]["model"]["trees"]
    ]
    if any(len(tree.left) == 1 for tree in trees):
        raise ValueError("a tree without a split, which LightGBM's text says otherwise")
    return trees, np.float32(-np.log(1 / score - 1))


def lightgbm_text(trees: list[Tree], base: np.float32, features: int) -> str:
    """The trees as LightGBM text v3, which LightGBM, leaves and lleaves read; the first tree's leaves carry the base."""
    names = " ".join(f"f{i}" for i in range(features))
    infos = " ".join(["[-1e+300:1e+300]"] * features)
    blocks = [f"Tree={i}\n" + lightgbm_tree(tree, base if i == 0 else np.float32(0)) for i, tree in enumerate(trees)]
    sizes = " ".join(str(len(block)) for block in blocks)
    head = (
        "tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={features - 1}\nobjective=binary sigmoid:1\nfeature_names={names}\nfeature_infos={infos}\n"
        f"tree_sizes={sizes}\n\n"
    )
    return head + "".join(blocks) + "end of trees\n\npandas_categorical:null\n"


def lightgbm_tree(tree: Tree, base: np.float32) -> str:
    splits, leaves = np.flatnonzero(tree.left >= 0), np.flatnonzero(tree.left < 0)
    index = np.empty(len(tree.left), np.int64)  # splits count from 0 up, leaves from -1 down
    index[splits], index[leaves] = np.arange(len(splits)), ~np.arange(len(leaves))
    # LightGBM weighs by whole counts where XGBoost has sums of Hessians; a leaf of count 0 would be divided by.
    count = np.maximum(1, np.rint(tree.cover.astype(float) * 1000)).astype(np.int64)
    fields = {
        "num_leaves": [len(leaves)],
        "num_cat": [0],
        "split_feature": tree.feature[splits],
        "split_gain": np.zeros(len(splits), int),
        "threshold": tree.at_most[splits].astype(float),
        "decision_type": np.where(tree.default_left[splits], 10, 8),  # missing is NaN; 2 for default left
        "left_child": index[tree.left[splits]],
        "right_child": index[tree.right[splits]],
        "leaf_value": tree.threshold[leaves].astype(float) + float(base),
        "leaf_weight": tree.cover[leaves].astype(float),
        "leaf_count": count[leaves],
        "internal_value": np.zeros(len(splits), int),
        "internal_weight": tree.cover[splits].astype(float),
        "internal_count": count[splits],
        "shrinkage": [1],
    }
    lines = (f"{key}={' '.join(map(repr, np.asarray(values).tolist()))}\n" for key, values in fields.items())
    return "".join(lines) + "\n"


def write_onnx(trees: list[Tree], base: np.float32, features: int, path: Path) -> None:
    """The trees as one ONNX TreeEnsembleRegressor, whose output is the margin."""
    from onnx import TensorProto, helper, save

    nodes: dict[str, list] = {key: [] for key in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids",
                                                  "falsenodeids", "missing_value_tracks_true")}
    target: dict[str, list] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for i, tree in enumerate(trees):
        leaf = tree.left < 0
        ids = np.arange(len(leaf))
        for key, values in (
            ("treeids", np.full(len(leaf), i)), ("nodeids", ids), ("featureids", np.where(leaf, 0, tree.feature)),
            ("modes", np.where(leaf, "LEAF", "BRANCH_LT")), ("values", np.where(leaf, 0, tree.threshold)),
            ("truenodeids", np.where(leaf, 0, tree.left)), ("falsenodeids", np.where(leaf, 0, tree.right)),
            ("missing_value_tracks_true", np.where(leaf, 0, tree.default_left)),
        ):
            nodes[key] += values.tolist()
        for key, values in (("treeids", np.full(leaf.sum(), i)), ("nodeids", ids[leaf]),
                            ("ids", np.zeros(leaf.sum(), int)), ("weights", tree.threshold[leaf])):
            target[key] += values.tolist()
    node = helper.make_node(
        "TreeEnsembleRegressor", ["rows"], ["margin"], domain="ai.onnx.ml", n_targets=1, base_values=[float(base)],
        **{f"nodes_{k}": v for k, v in nodes.items()}, **{f"target_{k}": v for k, v in target.items()},
    )
    graph = helper.make_graph(
        [node], "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("margin", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
