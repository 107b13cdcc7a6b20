"""The oracle's decisions: from the golden rows, whatever way the orders come."""

import json

import pytest

from trendbuy_training import __main__ as command
from trendbuy_training import catalogue
from trendbuy_training import oracle as oracle_module


@pytest.fixture
def decide(bundle_directory, tmp_path):
    def run(lines, *options):
        source, output = tmp_path / "orders.jsonl", tmp_path / "scores.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        arguments = ["oracle", "--bundle", bundle_directory, "--input", source, "--output", output, *options]
        assert command.main([str(argument) for argument in arguments]) == 0
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]

    return run


def test_example(decide):
    (decision,) = decide([{"order_id": "ORD_12345", "features": catalogue.EXAMPLE}])
    assert decision["risk_band"] == "HIGH"
    assert decision["risk_score"] == round(decision["score"], 4)
    assert decision["top_contributors"] == ["High trend velocity", "Deep discount", "Prior customer return behavior"]
    assert [reason["code"] for reason in decision["reasons"]] == [
        "TREND_VELOCITY",
        "DISCOUNT",
        "PRIOR_RETURNS",
    ]
    assert sum(decision["contributions"]) == pytest.approx(decision["margin"], abs=1e-5)


def test_golden_rows_in_chunks_and_one_by_one(decide, events, golden, monkeypatch):
    decisions = decide(events)
    assert [decision["margin"] for decision in decisions] == [line["margin"] for line in golden]
    assert [decision["contributions"] for decision in decisions] == [line["contributions"] for line in golden]
    assert {decision["risk_band"] for decision in decisions} == {"LOW", "MEDIUM", "HIGH"}
    monkeypatch.setattr(oracle_module, "CHUNK", 1)
    assert decide(events[:40]) == decisions[:40]


def test_key_order_and_envelope_do_not_matter(decide, events):
    plain = decide(events)
    reversed_names = [{**event, "features": dict(reversed(event["features"].items()))} for event in events]
    assert decide(reversed_names) == plain
    assert decide([{"order": event, "regret": 0} for event in events]) == plain


def test_missing_has_its_text(decide):
    features = {**catalogue.EXAMPLE, "feature_cust_prior_return_rate_90d": None, "feature_discount_pct": 0}
    features |= {"feature_velocity_24h": 10}
    (decision,) = decide([{"order_id": "a", "features": features}])
    texts = {reason["feature"]: reason["text"] for reason in decision["reasons"]}
    assert texts["feature_velocity_24h"] == "Low trend velocity"
    assert texts["feature_cust_prior_return_rate_90d"] == "No purchase history"


def test_prediction_id_names_engine_version_and_order(decide):
    event = {"order_id": "a", "features": catalogue.EXAMPLE}
    ids = [
        decide([event])[0]["prediction_id"],
        decide([event], "--engine", "leaves/1")[0]["prediction_id"],
        decide([{**event, "event_version": 1}])[0]["prediction_id"],
        decide([{**event, "order_id": "b"}])[0]["prediction_id"],
    ]
    assert len(set(ids)) == 4
    assert decide([{**event, "event_version": 0, "occurred_at": "2026-01-01T00:00:00Z"}])[0]["prediction_id"] == ids[0]


@pytest.mark.parametrize("change", [{"feature_discount": 0.1}, {"feature_device_type": "MOBILE"}])
def test_what_the_model_does_not_know_is_refused(bundle_directory, tmp_path, capsys, change):
    source = tmp_path / "orders.jsonl"
    source.write_text(json.dumps({"order_id": "a", "features": {**catalogue.EXAMPLE, **change}}), encoding="utf-8")
    arguments = ["oracle", "--bundle", bundle_directory, "--input", source, "--output", tmp_path / "out"]
    assert command.main([str(argument) for argument in arguments]) == 1
    assert next(iter(change)) in capsys.readouterr().err
