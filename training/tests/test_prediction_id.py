"""Prediction ids: the committed vectors, and one id put together by hand."""

import hashlib
import json
from pathlib import Path

import numpy as np

from trendbuy_training.prediction_id import prediction_id, row_bits
from trendbuy_training.vectors import vectors

COMMITTED = Path(__file__).resolve().parents[2] / "scoring" / "testdata" / "prediction_ids.json"


def test_committed_vectors_are_these():
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert committed == vectors()
    # -0 for 0 and composed for decomposed are the only vectors that may look alike.
    assert len({vector["prediction_id"] for vector in committed}) == len(committed)


def test_by_hand():
    message = bytes.fromhex(
        "7269736b73636f7265722f70726564696374696f6e2f3100"  # riskscorer/prediction/1 and a zero byte
        "00000001" "65"  # engine "e"
        "00000002" "c3a9"  # order id "é"
        "fffffffffffffffe"  # version -2
        + "ab" * 32
        + "00000003"
        "0000000000000000"  # -0
        "7ff8000000000000"  # missing
        "3fb99999a0000000"  # 0.1 rounded to float32
    )  # fmt: skip
    bits = row_bits(np.array([[-0.0, np.nan, 0.1]]), float32=True)[0]
    made = prediction_id("e", "é", -2, bytes.fromhex("ab" * 32), bits)
    assert made == hashlib.sha256(message).hexdigest()[:32]


def test_doubles_stay_doubles():
    assert row_bits(np.array([[0.1]]), float32=False)[0].tobytes().hex() == "3fb999999999999a"
