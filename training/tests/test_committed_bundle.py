"""The committed demo bundle holds what it promises, in the training library's own numbers."""

import hashlib

import numpy as np
import pytest
import xgboost as xgb

from trendbuy_training import catalogue
from trendbuy_training.golden import thresholds
from trendbuy_training.model import SCHEMA, numbers
from trendbuy_training.orders import frame, from_rows


@pytest.fixture(scope="module")
def booster(bundle_directory):
    return xgb.Booster(model_file=bundle_directory / "model.ubj")


def test_files_are_the_listed_ones(bundle_directory):
    listed = {}
    for line in (bundle_directory / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    assert list(listed) == sorted(listed)
    assert {path.name for path in bundle_directory.iterdir()} == {"SHA256SUMS", *listed}
    for name, digest in listed.items():
        assert hashlib.sha256((bundle_directory / name).read_bytes()).hexdigest() == digest, name


def test_golden_rows_are_the_librarys_numbers(booster, golden, manifest):
    assert len(golden) == manifest["golden"]["rows"] == 512
    rows = np.array([[np.nan if x is None else x for x in line["row"]] for line in golden], dtype=np.float64)
    answer = numbers(booster, from_rows(rows, SCHEMA))
    assert answer.margin.tolist() == [line["margin"] for line in golden]
    assert answer.score.tolist() == [line["score"] for line in golden]
    contributions = np.array([line["contributions"] for line in golden])
    size = np.abs(contributions).sum(axis=1, keepdims=True)
    assert np.all(np.abs(answer.contributions - contributions) <= manifest["golden"]["contribution_tolerance"] * size)


def test_golden_rows_reach_the_edges(booster, golden):
    rows = np.array([[np.nan if x is None else x for x in line["row"]] for line in golden], dtype=np.float64)
    optional = [i for i, feature in enumerate(catalogue.FEATURES) if not feature.required]
    assert np.isnan(rows[:, optional]).all(axis=1).sum() >= len(catalogue.CATEGORIES)
    for i, feature in enumerate(catalogue.FEATURES):
        if feature.category:
            assert set(rows[:, i]) == {0.0, 1.0, 2.0, 3.0}
            continue
        on_threshold = np.isin(rows[:, i].astype(np.float32), thresholds(booster)[feature.name])
        only_rounded = on_threshold & (rows[:, i].astype(np.float32) != rows[:, i])
        assert on_threshold.sum() >= 4, feature.name
        assert only_rounded.any(), feature.name


def test_model_is_the_promised_one(booster, manifest):
    assert booster.num_boosted_rounds() == 300
    assert booster.feature_names == catalogue.NAMES == [feature["name"] for feature in manifest["features"]]
    assert manifest["model"]["library_version"] == xgb.__version__
    assert sum(feature["importance"] for feature in manifest["features"]) == pytest.approx(1)
    assert 0.75 < manifest["evaluation"]["roc_auc"] < 0.85
    for tenth in manifest["evaluation"]["calibration"]:
        spread = 4 * 0.5 / tenth["rows"] ** 0.5
        assert tenth["mean_score"] == pytest.approx(tenth["regret_rate"], abs=spread)


def test_example_is_high_for_its_three_reasons(booster):
    answer = numbers(booster, frame([catalogue.EXAMPLE], SCHEMA))
    contributions = answer.contributions[0, :-1]
    top = np.argsort(-np.abs(contributions))[:3]
    assert 0.75 <= answer.score[0] <= 0.87
    assert (contributions[top] > 0).all()
    assert [catalogue.FEATURES[i].reason.raises for i in top] == [
        "High trend velocity",
        "Deep discount",
        "Prior customer return behavior",
    ]


@pytest.mark.parametrize("feature", [f for f in catalogue.FEATURES if f.monotone], ids=lambda f: f.name)
def test_texts_that_claim_a_level_are_true(booster, golden, feature):
    index = catalogue.NAMES.index(feature.name)
    steps = np.concatenate([thresholds(booster)[feature.name].astype(np.float64), [1e7]])
    for line in golden[::32]:
        rows = np.tile([np.nan if x is None else x for x in line["row"]], (len(steps), 1)).astype(np.float64)
        rows[:, index] = steps
        margin = booster.predict(xgb.DMatrix(from_rows(rows, SCHEMA), enable_categorical=True), output_margin=True)
        # Sums of 300 float32 leaves may differ by their rounding.
        assert (np.diff(margin) * feature.monotone >= -1e-5).all()
        assert abs(margin[-1] - margin[0]) > 0.01
