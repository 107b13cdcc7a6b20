"""Models of every kind become bundles that riskctl finds to hold, with the numbers of the version that wrote them."""

import json
import subprocess
from pathlib import Path

import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from trendbuy_training import catalogue
from trendbuy_training.orders import matrix

TRAINING = Path(__file__).resolve().parents[1]


def read(bundle: Path) -> tuple[dict, list[dict]]:
    """The manifest and the golden rows."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    return manifest, [json.loads(line) for line in (bundle / "golden.jsonl").read_text(encoding="utf-8").splitlines()]


def from_frame(golden: list[dict], frame: pd.DataFrame) -> dict[int, dict]:
    """The golden lines that are rows of the frame, by the number of the row."""
    places = {row.tobytes(): i for i, row in enumerate(matrix(frame) + 0.0)}
    found = {}
    for line in golden:
        row = np.array([np.nan if x is None else x for x in line["row"]]) + 0.0
        if (place := places.get(row.tobytes())) is not None:
            found[place] = line
    return found


@pytest.fixture(scope="module")
def replaced(trained_on, tmp_path_factory) -> Path:
    """The directory of the replaced server's model, by the versions that it ran."""
    directory = tmp_path_factory.mktemp("replaced")
    frame, outcome = trained_on
    frame.assign(outcome=outcome).to_csv(directory / "frame.csv", index=False)
    venv = [TRAINING / "venv.sh", TRAINING / "locks" / "xgboost-2.0.3.txt", "3.11"]
    python = subprocess.run(venv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    subprocess.run([python, "-W", "ignore", TRAINING / "tests" / "train_replaced.py", directory], check=True)
    return directory


def test_replaced_servers_pickle(replaced, trained_on, frame_file, tmp_path):
    """By the command itself: the demo's features need no contract, and nobody has to name the versions."""
    bundle = tmp_path / "bundle"
    call = [TRAINING / "export.sh", "--model", replaced / "model.pkl", "--trust-pickle", "--frame", frame_file]
    done = subprocess.run([*call, "--version", "v1", "--output", bundle], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a pickle of xgboost.sklearn.XGBClassifier, written by xgboost 2.0.3" in done.stderr
    assert "512 of 512 rows judged" in done.stderr

    manifest, golden = read(bundle)
    assert manifest["model"]["library_version"] == "2.0.3"
    assert manifest["features"][-1]["categories"] == catalogue.CATEGORIES
    probabilities = np.load(replaced / "probabilities.npy")
    drawn = from_frame(golden, trained_on[0])
    assert len(drawn) >= 128
    assert {place: line["score"] for place, line in drawn.items()} == {place: float(probabilities[place]) for place in drawn}
    baseline = json.loads((bundle / "baseline.json").read_text(encoding="utf-8"))
    assert baseline["rows"] == sum(baseline["score"]["counts"]) == len(trained_on[0])
    assert np.histogram(probabilities, np.arange(21) / 20)[0].tolist() == baseline["score"]["counts"]


@pytest.mark.parametrize("name", ["model.joblib", "model.joblib.gz"])
def test_joblib_gives_the_same_bundle(replaced, frame_file, export, name):
    code, bundle, said = export(replaced / name, "--trust-pickle", "--frame", frame_file)
    assert code == 0, said
    _, golden = read(bundle)
    pickled = xgb.Booster(model_file=bundle / "model.ubj")
    assert pickled.num_boosted_rounds() > int(pickled.attr("best_iteration")) + 1  # the file is whole
    rows = np.array([[np.nan if x is None else x for x in line["row"]] for line in golden])
    data = xgb.DMatrix(
        rows, feature_names=pickled.feature_names, feature_types=pickled.feature_types, enable_categorical=True
    )
    best = pickled.predict(data, iteration_range=(0, int(pickled.attr("best_iteration")) + 1), output_margin=True)
    assert best.tolist() == [line["margin"] for line in golden]


def test_lightgbm_with_a_contract_that_was_filled_in(trained_on, frame_file, export, tmp_path, capsys):
    frame, outcome = trained_on
    frame = frame.assign(shop=pd.Categorical((np.arange(len(frame)) % 5) * 10))
    frame.to_parquet(tmp_path / "train.parquet")
    model = lgb.LGBMClassifier(n_estimators=30, n_jobs=1, verbose=-1).fit(frame, np.where(outcome, "yes", "no"))
    joblib.dump(model, tmp_path / "model.joblib")
    given = ["--trust-pickle", "--library-version", lgb.__version__, "--frame", tmp_path / "train.parquet"]
    code, _, said = export(tmp_path / "model.joblib", *given, "--write-contract", tmp_path / "contract.json")
    assert code == 0, said
    contract = json.loads((tmp_path / "contract.json").read_text(encoding="utf-8"))
    assert [feature["policy"] for feature in contract["features"]].count("optional") == 1
    code, _, said = export(tmp_path / "model.joblib", *given, "--contract", tmp_path / "contract.json")
    assert code == 1 and "still to be written: /name, /thresholds/medium" in said

    contract |= {"name": "regret", "thresholds": {"medium": 0.3, "high": 0.7}}
    for feature in contract["features"]:
        feature["reason"] |= {way: f"{feature['name']} {way}" for way in ("raises", "lowers", "missing")}
    contract["features"].reverse()  # the model's order holds
    (tmp_path / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    code, bundle, said = export(tmp_path / "model.joblib", *given, "--contract", tmp_path / "contract.json")
    assert code == 0, said
    manifest, golden = read(bundle)
    assert [feature["name"] for feature in manifest["features"]] == list(frame.columns)
    assert manifest["features"][-1]["categories"] == ["0", "10", "20", "30", "40"]
    assert manifest["model"] == {
        "file": "model.txt",
        "library": "lightgbm",
        "library_version": lgb.__version__,
        "trees": "best_iteration",
    }
    drawn = from_frame(golden, frame)
    own = model.predict_proba(frame)[:, 1]
    assert {place: line["score"] for place, line in drawn.items()} == {place: own[place] for place in drawn} and len(
        drawn
    ) >= 128


def test_native_file_with_categories_of_the_contract_alone(trained_on, export, tmp_path, bundle_directory):
    """No frame: an earlier bundle's manifest is the contract, and golden rows are made from the model."""
    frame, outcome = trained_on
    types = ["q"] * 7 + ["c"]
    data = xgb.DMatrix(matrix(frame), outcome, feature_names=catalogue.NAMES, feature_types=types, enable_categorical=True)
    xgb.train({"objective": "binary:logistic", "max_depth": 7}, data, 10).save_model(tmp_path / "model.json")
    code, bundle, said = export(tmp_path / "model.json", "--contract", bundle_directory / "manifest.json")
    assert code == 0, said
    manifest, golden = read(bundle)
    assert manifest["features"][-1]["categories"] == catalogue.CATEGORIES
    assert manifest["version"] == "v1" and not any("seen" in feature for feature in manifest["features"])
    rows = np.array([[np.nan if x is None else x for x in line["row"]] for line in golden])
    assert set(rows[:, -1]) == {0.0, 1.0, 2.0, 3.0}
    for i, feature in enumerate(catalogue.FEATURES[:-1]):
        assert feature.required != np.isnan(rows[:, i]).any(), feature.name
        assert np.nanmin(rows[:, i]) >= (feature.minimum if feature.minimum is not None else -np.inf), feature.name


def test_frame_without_types_and_a_category_of_numbers(trained_on, export, tmp_path):
    """In a CSV file with a gap, 38 reads as 38.0; the contract has the list, in an order of its own."""
    sizes = [40, 36, 38]
    frame = pd.DataFrame(
        {"discount": trained_on[0]["feature_discount_pct"], "size": np.resize([36.0, 38.0, np.nan, 40.0], 3000)}
    )
    coded = frame.assign(size=pd.Categorical(frame["size"], categories=[float(s) for s in sizes]).codes).replace(-1, np.nan)
    data = xgb.DMatrix(
        coded.to_numpy(), trained_on[1], feature_names=list(frame), feature_types=["q", "c"], enable_categorical=True
    )
    xgb.train({"objective": "binary:logistic"}, data, 5).save_model(tmp_path / "model.ubj")
    frame.to_csv(tmp_path / "train.csv", index=False)
    texts = {"raises": "more", "lowers": "less", "missing": "not known"}
    number = {"name": "discount", "type": "number", "unit": "", "description": "", "policy": "required"}
    category = {"name": "size", "type": "category", "unit": "", "description": "", "policy": "optional"}
    features = [number | {"reason": {"code": "A"} | texts}]
    features += [category | {"categories": [str(s) for s in sizes], "reason": {"code": "B"} | texts}]
    contract = {"name": "sizes", "description": "", "features": features, "thresholds": {"medium": 0.4, "high": 0.6}}
    (tmp_path / "contract.json").write_text(json.dumps(contract), encoding="utf-8")
    given = ["--contract", tmp_path / "contract.json", "--frame", tmp_path / "train.csv"]
    code, bundle, said = export(tmp_path / "model.ubj", *given)
    assert code == 0, said
    counts = json.loads((bundle / "baseline.json").read_text(encoding="utf-8"))["features"]["size"]
    assert counts == {"missing": 0.25, "categories": {"40": 750, "36": 750, "38": 750}}


def test_pipeline_that_passes_features_through(trained_on, frame_file, export, tmp_path):
    from sklearn.pipeline import Pipeline

    model = xgb.XGBClassifier(n_estimators=5, enable_categorical=True).fit(*trained_on)
    joblib.dump(Pipeline([("nothing", "passthrough"), ("model", model)]), tmp_path / "model.joblib")
    code, _, said = export(tmp_path / "model.joblib", "--trust-pickle", "--frame", frame_file)
    assert code == 0, said
