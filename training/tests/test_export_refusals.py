"""What cannot become a bundle is refused with a sentence that says what to do, and leaves nothing behind."""

import json
import pickle
import shutil
from pathlib import Path

import lightgbm as lgb
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from trendbuy_training import catalogue
from trendbuy_training.orders import matrix


@pytest.fixture
def dump(tmp_path):
    def write(model: object) -> Path:
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(model))
        return path

    return write


@pytest.fixture(scope="module")
def classifier(trained_on) -> xgb.XGBClassifier:
    return xgb.XGBClassifier(n_estimators=5, enable_categorical=True).fit(*trained_on)


@pytest.fixture
def unnamed(trained_on, tmp_path) -> Path:
    """A file without the names of categories, as before XGBoost 3.1."""
    types = ["q"] * 7 + ["c"]
    frame, outcome = trained_on
    data = xgb.DMatrix(matrix(frame), outcome, feature_names=catalogue.NAMES, feature_types=types, enable_categorical=True)
    xgb.train({"objective": "binary:logistic"}, data, 5).save_model(tmp_path / "model.ubj")
    return tmp_path / "model.ubj"


@pytest.fixture
def contract(tmp_path):
    """The demo's contract with a change to its last feature, the device type; None takes a member away."""

    def write(**change: object) -> Path:
        given = catalogue.contract()
        last = given["features"][-1] | change
        given["features"][-1] = {name: value for name, value in last.items() if value is not None}
        path = tmp_path / "contract.json"
        path.write_text(json.dumps(given), encoding="utf-8")
        return path

    return write


def refused(result: tuple, *words: str) -> None:
    code, output, said = result
    assert code == 1 and not output.exists()
    for word in words:
        assert word in said


def test_categories_are_never_guessed(unnamed, trained_on, frame_file, contract, export, tmp_path):
    trained_on[0].to_csv(tmp_path / "train.csv", index=False)  # every category is in it, and yet it is no list
    lacking = contract(categories=None)
    for options in ([], ["--frame", tmp_path / "train.csv"]):
        refused(
            export(unnamed, "--contract", lacking, *options), "feature_device_type is categorical", "--frame", '"categories"'
        )
    one = trained_on[0].head(1)
    one = one.assign(feature_device_type=one["feature_device_type"].astype(str).astype("category"))
    one.to_parquet(tmp_path / "one.parquet")
    refused(export(unnamed, "--contract", lacking, "--frame", tmp_path / "one.parquet"), "lists 1 categories")
    other = contract(categories=["mobile", "app", "desktop", "tablet"])
    refused(
        export(unnamed, "--contract", other, "--frame", frame_file), "['app', 'desktop', 'mobile', 'tablet'] in the frame"
    )


def test_categories_are_those_that_the_model_names(classifier, dump, contract, export):
    refused(
        export(dump(classifier), "--trust-pickle", "--contract", contract(categories=["a", "b", "c", "d"])),
        "in the model file",
    )


def test_pickles_run_code_only_where_they_are_trusted(dump, classifier, export, tmp_path):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    refused(export(dump(classifier)), "runs whatever code it holds: add --trust-pickle")
    refused(export(dump(Touch()), "--trust-pickle"), "neither of XGBoost nor of LightGBM")
    assert not (tmp_path / "ran").exists()


def test_other_models(dump, classifier, trained_on, export, tmp_path):
    trusted = "--trust-pickle"
    refused(
        export(dump(LogisticRegression()), trusted),
        "sklearn.linear_model._logistic.LogisticRegression",
        "train with one of these",
    )
    (tmp_path / "model.cbm").write_bytes(b"CBM1\x00")
    refused(export(tmp_path / "model.cbm"), "CatBoost")
    refused(export(dump({"model": classifier}), trusted), "it holds a builtins.dict")
    scaled = Pipeline([("scale", FunctionTransformer()), ("model", classifier)])
    refused(export(dump(scaled), trusted), "changes the features", "FunctionTransformer")
    refused(
        export(dump(xgb.XGBRegressor(n_estimators=2, enable_categorical=True).fit(*trained_on)), trusted),
        "reg:squarederror",
        "riskctl predict",
    )
    refused(
        export(dump(xgb.XGBClassifier(n_estimators=2, enable_categorical=True, missing=-1).fit(*trained_on)), trusted),
        "missing=-1",
    )
    refused(export(dump(xgb.XGBClassifier()), trusted), "was not fitted")


def test_files_that_end_too_early(dump, classifier, export):
    path = dump(classifier)
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert export(path, "--trust-pickle")[0] == 1
    path.write_bytes(whole[: len(whole) // 2] + b".")
    refused(export(path, "--trust-pickle"), "cannot be unpickled")


def test_native_files_that_end_too_early(unnamed, export, tmp_path):
    unnamed.write_bytes(unnamed.read_bytes()[:-200])
    refused(export(unnamed), "copy it again")
    text = tmp_path / "model.txt"
    text.write_text("tree\nversion=v4\n", encoding="utf-8")
    refused(export(text, "--library-version", lgb.__version__), "LightGBM cannot read it")


def test_frames_that_are_not_the_training_frame(unnamed, trained_on, contract, export, tmp_path):
    frame, path = trained_on[0], tmp_path / "train.parquet"
    frame.drop(columns=["feature_discount_pct"]).to_parquet(path)
    refused(export(unnamed, "--frame", path), "the frame lacks columns of the model: feature_discount_pct")
    frame.assign(feature_discount_pct="0.3").to_parquet(path)
    refused(export(unnamed, "--frame", path), "column feature_discount_pct of the frame is", "trained on numbers")
    frame.assign(feature_device_type="MOBILE").to_parquet(path)
    refused(export(unnamed, "--frame", path), "feature_device_type", "not among the categories")
    frame.assign(feature_discount_pct=pd.Categorical(["a"] * len(frame))).to_parquet(path)
    refused(export(unnamed, "--frame", path), "is a category, the model was trained on a number")
    frame.assign(feature_discount_pct=35.0).to_parquet(path)
    refused(
        export(unnamed, "--frame", path), "no row of the frame keeps the contract: feature_discount_pct in 3000 of 3000 rows"
    )


def test_contracts_of_another_model(unnamed, contract, export, tmp_path):
    refused(
        export(unnamed, "--contract", contract(name="feature_device")), "lacks features of the model: feature_device_type"
    )
    refused(export(unnamed, "--contract", contract(type="number", categories=None)), "trained on a category")
    refused(export(unnamed, "--contract", contract(polciy="optional")), "/features/7/polciy is not a member")
    refused(export(unnamed, "--contract", contract(allowed={"min": "0"})), "/features/7/allowed must have numbers")
    refused(
        export(unnamed, "--contract", contract(categories=[1, 2, 3, 4])),
        "/features/7: its name and its categories must be text",
    )
    (tmp_path / "contract.json").write_text("{", encoding="utf-8")
    refused(export(unnamed, "--contract", tmp_path / "contract.json"), "contract.json: Expecting")


def test_versions(unnamed, trained_on, export, tmp_path):
    """A version without a lock says how to make one; LightGBM's files do not say theirs."""
    booster = xgb.Booster(model_file=unnamed)
    other = json.loads(booster.save_raw("json")) | {"version": [2, 0, 2]}
    (tmp_path / "model.json").write_text(json.dumps(other), encoding="utf-8")
    refused(export(tmp_path / "model.json"), "xgboost 2.0.2", "training/lock.sh xgboost-2.0.2", "# Python 3.11")
    refused(export(unnamed, "--library-version", "3.3.0"), f"says that xgboost {xgb.__version__} wrote it")
    lgb.train({"verbose": -1}, lgb.Dataset(*trained_on), 2).save_model(tmp_path / "model.txt")
    refused(export(tmp_path / "model.txt"), "name it with --library-version")


def test_a_bundle_that_does_not_hold_is_not_kept(unnamed, contract, export, tmp_path):
    reason = catalogue.contract()["features"][-1]["reason"] | {"raises": "x" * 257}
    refused(export(unnamed, "--contract", contract(reason=reason)), "must have 1 to 256 bytes", "the bundle does not hold")
    (tmp_path / "bundle").mkdir()
    code, _, said = export(unnamed)
    assert code == 1 and "is there already" in said
    shutil.rmtree(tmp_path / "bundle")


def test_a_wrong_call(unnamed, export, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        export(unnamed, "--trees", "some")
