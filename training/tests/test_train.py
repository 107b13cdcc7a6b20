"""Training repeats byte for byte, and its bundle is whole."""

import json

import pytest

from trendbuy_training import __main__ as command
from trendbuy_training import model
from trendbuy_training.model import SCHEMA
from trendbuy_training.orders import read


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_training_repeats_byte_for_byte(orders_file, tmp_path, monkeypatch):
    train = model.train
    monkeypatch.setattr(model, "train", lambda features, regret: train(features, regret, trees=10))
    for name in ("one", "two"):
        assert command.main(["train", "--orders", str(orders_file), "--output", str(tmp_path / name)]) == 0
    one = files(tmp_path / "one")
    assert set(one) == {"SHA256SUMS", "baseline.json", "golden.jsonl", "manifest.json", "model.ubj"}
    assert one == files(tmp_path / "two")


def test_trees_baseline_and_split_by_time(orders_file, tmp_path):
    orders = read(orders_file, SCHEMA)
    booster = model.train(orders.features, orders.regret)
    assert booster.num_boosted_rounds() == 300
    command.train(orders_file, tmp_path)
    baseline = json.loads((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert (baseline["rows"], manifest["evaluation"]["rows"]) == (1500, 500)
    assert sum(baseline["score"]["counts"]) == 1500
    for name, distribution in baseline["features"].items():
        missing = {"feature_prod_size_fit_rate": 215, "feature_creator_reliability": 300}.get(name, 0)
        assert distribution["missing"] * 1500 == pytest.approx(missing)
        counts = distribution["categories"].values() if "categories" in distribution else distribution["counts"]
        assert sum(counts) == 1500 - missing, name
    allowed = {feature["name"]: feature.get("allowed") for feature in manifest["features"]}
    assert allowed["feature_discount_pct"] == {"min": 0, "max": 1}
    assert allowed["feature_velocity_24h"] == {"min": 0}
    assert allowed["feature_hours_since_trend_peak"] is None


def test_orders_without_outcomes_are_refused(tmp_path, capsys):
    path = tmp_path / "orders.jsonl"
    path.write_text('{"order_id": "a", "features": {}}\n', encoding="utf-8")
    assert command.main(["train", "--orders", str(path), "--output", str(tmp_path / "out")]) == 1
    assert "outcome" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
