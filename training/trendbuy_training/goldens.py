"""Makes the models and rows that the Go loader of XGBoost files is tested against.

Each model has a folder of its own: model.json or model.ubj or both as XGBoost saves them, rows.csv (a header of
feature names, an empty cell for a missing value, categories by name, or by code where the file has no names) and
expected.csv, XGBoost's own numbers in the columns of `riskctl predict --contributions`. Margins and predictions are
those of the version that wrote the model; contributions are the current version's, from the same file:

    python -m trendbuy_training.goldens write ../scoring/forest/xgboost/testdata    # under every version
    python -m trendbuy_training.goldens explain ../scoring/forest/xgboost/testdata  # then under the current one
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

from .golden_models import CURRENT, GOLDENS, Golden, thresholds, train
from .golden_rows import golden_rows, matrix, read_rows, write_rows


def rounds(golden: Golden, booster: xgb.Booster) -> tuple[int, int]:
    """Returns the iteration_range that the scikit-learn classes would use."""
    return (0, int(booster.attr("best_iteration")) + 1) if golden.early_stopping else (0, 0)


def scores(golden: Golden, booster: xgb.Booster, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Returns the margins and the predictions: of multi:softmax the probabilities, as of multi:softprob."""
    data, used = matrix(golden, frame), rounds(golden, booster)
    margins = booster.predict(data, output_margin=True, iteration_range=used).reshape(len(frame), -1)
    predictions = booster.predict(data, iteration_range=used)
    if golden.objective == "multi:softmax":
        if not np.array_equal(predictions, margins.argmax(axis=1)):
            raise SystemExit(f"{golden.name}: the predicted class is not the one of the largest margin")
        model = json.loads(booster.save_raw("json"))
        model["learner"]["objective"]["name"] = "multi:softprob"
        predictions = xgb.Booster(model_file=bytearray(json.dumps(model).encode())).predict(data, iteration_range=used)
    predictions = predictions.reshape(len(frame), -1)
    suffixes = group_suffixes(golden)
    return dict(zip([f"margin{s}" for s in suffixes], margins.T, strict=True)) | dict(
        zip([f"prediction{s}" for s in suffixes], predictions.T, strict=True)
    )


def group_suffixes(golden: Golden) -> list[str]:
    return [f"_{g}" for g in range(golden.groups)] if golden.groups > 1 else [""]


def write(golden: Golden, seed: int, root: Path) -> None:
    """Writes a model, its rows, and the scores of the version that runs."""
    folder = root / golden.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    booster = train(golden, seed)
    for extension in golden.formats or (("json", "ubj")[seed % 2],):
        booster.save_model(folder / f"model.{extension}")
    frame = golden_rows(golden, thresholds(booster), np.random.default_rng(seed + 1000))
    write_rows(golden, frame, folder / "rows.csv")
    write_columns(folder / "expected.csv", scores(golden, booster, read_rows(golden, folder / "rows.csv")))


def explain(golden: Golden, root: Path) -> None:
    """Adds the contributions by the version that runs, from the model's file."""
    folder = root / golden.name
    booster = xgb.Booster(model_file=next(folder.glob("model.*")))
    frame = read_rows(golden, folder / "rows.csv")
    with (folder / "expected.csv").open(newline="", encoding="utf-8") as file:
        header, *records = csv.reader(file)
    columns = dict(zip(header, np.array(records, dtype=np.float32).T, strict=True))
    columns = {name: column for name, column in columns.items() if not name.startswith("contrib")}
    contributions = booster.predict(
        matrix(golden, frame), pred_contribs=True, iteration_range=rounds(golden, booster)
    ).reshape(len(frame), golden.groups, -1)
    for g, suffix in enumerate(group_suffixes(golden)):
        for f, feature in enumerate([*frame.columns, "bias"]):
            columns[f"contrib{suffix}:{feature}"] = contributions[:, g, f]
    write_columns(folder / "expected.csv", columns)


def write_columns(path: Path, columns: dict[str, np.ndarray]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        out.writerows([str(v) for v in row] for row in np.column_stack(list(columns.values())).astype(np.float32))


def write_base_margins(path: Path) -> None:
    """Writes the margins that XGBoost makes of base scores, by a logarithm that is not always the nearest float32."""
    rng = np.random.default_rng(7)
    near = 0.5 + rng.normal(0.0, 0.004, 500)
    chances = np.concatenate([near, rng.random(400), 10.0 ** rng.uniform(-7, -1, 100)])
    means = np.concatenate([rng.normal(1.0, 0.02, 300), np.exp(rng.normal(0.0, 4.0, 200)), [1e-40, 1e-45, 3e38]])
    data = xgb.DMatrix(np.zeros((2, 1)), [0.5, 0.5])
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["objective", "base_score", "margin"])
        for objective, scores in {"binary:logistic": chances, "reg:gamma": means}.items():
            booster = xgb.train({"objective": objective, "max_depth": 1}, data, 1)
            model = json.loads(booster.save_raw("json"))
            leaf = model["learner"]["gradient_booster"]["model"]["trees"][0]
            leaf["split_conditions"] = [0.0] * len(leaf["split_conditions"])
            for score in scores.astype(np.float32):
                model["learner"]["learner_model_param"]["base_score"] = f"[{score}]"
                booster = xgb.Booster(model_file=bytearray(json.dumps(model).encode()))
                out.writerow([objective, score, booster.predict(data, output_margin=True)[0]])


README = """# Golden models

Written by `training/goldens.sh`: the models of each version of XGBoost by that version, contributions by XGBoost {xgboost}.
Each folder is one model: `model.json` or `model.ubj` or both, `rows.csv`, and `expected.csv` with XGBoost's own margins,
predictions and contributions. Rows stand on thresholds, one float32 beside them, between two float32 values, and at the
ends of float32. The predictions of `multi:softmax` are the probabilities whose largest is the class that XGBoost names.
`base_margins.csv` has base scores and the margins that XGBoost {xgboost} makes of them.

| folder | objective | XGBoost |
| --- | --- | --- |
{table}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["write", "explain"], help="models and scores, or their contributions")
    parser.add_argument("folder", type=Path, help="where the models' folders go")
    args = parser.parse_args()
    if args.step == "write":
        for seed, golden in enumerate(GOLDENS):
            if golden.version == xgb.__version__:
                write(golden, seed, args.folder)
        return
    if xgb.__version__ != CURRENT:
        raise SystemExit(f"contributions are made by XGBoost {CURRENT}, and this is {xgb.__version__}")
    strangers = {f.name for f in args.folder.iterdir() if f.is_dir()} - {g.name for g in GOLDENS}
    if strangers:
        raise SystemExit(f"no golden model is called {', '.join(sorted(strangers))}: remove the folder")
    for golden in GOLDENS:
        explain(golden, args.folder)
    write_base_margins(args.folder / "base_margins.csv")
    table = "\n".join(f"| `{g.name}` | {g.objective} | {g.version} |" for g in GOLDENS)
    (args.folder / "README.md").write_text(README.format(xgboost=xgb.__version__, table=table), encoding="utf-8")


if __name__ == "__main__":
    main()
