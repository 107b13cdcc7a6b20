"""Runs in the environment of the library version that wrote a model: saves its native file, and computes its numbers.

`python -m trendbuy_training.writer convert MODEL DIR` writes the native file into DIR; `... numbers MODEL DIR` reads
rows.npy and writes margin.npy and score.npy. A pickle runs its code here, and only here.
It must run under every Python and library that has a lock, so it imports a library only once it knows which.
"""

import argparse
import sys
from pathlib import Path

import numpy as np


class XGBoost:
    """A model of XGBoost: a Booster, or one of the scikit-learn classes."""

    file = "model.ubj"

    def __init__(self, model, path: Path, all_trees: bool) -> None:
        import xgboost

        if model is None:
            model = xgboost.Booster(model_file=str(path))
        missing = getattr(model, "missing", None)
        if missing is not None and not np.isnan(missing):
            raise ValueError(
                f"it was made with missing={missing}, and in a bundle only absence and null are missing: train it with NaN"
            )
        self.booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
        best = self.booster.attr("best_iteration")
        self.used = (0, 0) if all_trees or best is None else (0, int(best) + 1)

    def save(self, path: Path) -> None:
        self.booster.save_model(str(path))

    def numbers(self, rows: np.ndarray) -> tuple:
        """Margins and scores. Categories are given by code, which every version takes as it is."""
        import xgboost

        names, types = self.booster.feature_names, self.booster.feature_types
        data = xgboost.DMatrix(rows, feature_names=names, feature_types=types, enable_categorical=True)
        return tuple(self.booster.predict(data, output_margin=raw, iteration_range=self.used) for raw in (True, False))


class LightGBM:
    """A model of LightGBM: a Booster, or one of the scikit-learn classes. Its best iteration is all that its file holds."""

    file = "model.txt"

    def __init__(self, model, path: Path, all_trees: bool) -> None:
        import lightgbm

        if model is None:
            model = lightgbm.Booster(model_file=str(path))
        self.booster = model if isinstance(model, lightgbm.Booster) else model.booster_
        self.used = -1 if all_trees else None

    def save(self, path: Path) -> None:
        self.booster.save_model(str(path), num_iteration=self.used)

    def numbers(self, rows: np.ndarray) -> tuple:
        """Margins and scores; see XGBoost.numbers."""
        return tuple(self.booster.predict(rows, raw_score=raw, num_iteration=self.used) for raw in (True, False))


def unpickle(path: Path):
    """Loads a pickle, of joblib or not, which runs its code; of a pipeline that passes features through, the last step."""
    import joblib

    try:
        model = joblib.load(path)
    except Exception as fault:
        raise ValueError(
            f"it cannot be unpickled: {type(fault).__name__}: {fault}. If it needs code of your own, "
            "save its booster where that code is, with save_model, and export that file"
        ) from fault
    if type(model).__name__ == "Pipeline":
        *before, (_, last) = model.steps
        changing = [type(step).__name__ for _, step in before if step not in (None, "passthrough")]
        if changing:
            raise ValueError(
                f"it is a pipeline that changes the features before they reach its model ({', '.join(changing)}), and "
                "riskscorer takes finished features: do that step upstream, and export the last step alone"
            )
        return last
    return model


def load(path: Path, pickled: bool, library: str, all_trees: bool):
    """Returns the model behind one of the classes above."""
    model = unpickle(path) if pickled else None
    kind = f"{type(model).__module__}.{type(model).__name__}"
    known = {base.__module__.split(".")[0] for base in type(model).__mro__} & {"xgboost", "lightgbm"}
    if pickled and not (
        known and (hasattr(model, "get_booster") or hasattr(model, "booster_") or kind.endswith(".Booster"))
    ):
        raise ValueError(
            f"it holds a {kind}, which is not exported: pickle the XGBClassifier, LGBMClassifier or Booster itself"
        )
    return (LightGBM if library == "lightgbm" else XGBoost)(model, path, all_trees)


def main(arguments=None) -> int:
    """Runs one of the two steps; what is wrong with the model is one line on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="writer", description=__doc__)
    parser.add_argument("step", choices=["convert", "numbers"])
    parser.add_argument("model", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--library", required=True, choices=["xgboost", "lightgbm"])
    parser.add_argument("--pickled", action="store_true")
    parser.add_argument("--all-trees", action="store_true")
    args = parser.parse_args(arguments)
    try:
        model = load(args.model, args.pickled, args.library, args.all_trees)
        if args.step == "convert":
            model.save(args.directory / model.file)
        else:
            margin, score = model.numbers(np.load(args.directory / "rows.npy"))
            np.save(args.directory / "margin.npy", np.asarray(margin, np.float64))
            np.save(args.directory / "score.npy", np.asarray(score, np.float64))
    except Exception as fault:
        print(f"{args.model}: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
