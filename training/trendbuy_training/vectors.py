"""Writes the test vectors of prediction ids, which the service's tests read."""

import hashlib
import json
from pathlib import Path

import numpy as np

from trendbuy_training import catalogue
from trendbuy_training.model import SCHEMA
from trendbuy_training.orders import frame, matrix
from trendbuy_training.prediction_id import input_digest, prediction_id, row_bits

_DIGEST = hashlib.sha256(b"a model").hexdigest()


def vectors() -> list[dict]:
    """Ids, versions, rows and digests that each go wrong in a different careless implementation."""
    example = matrix(frame([catalogue.EXAMPLE], SCHEMA))[0].tolist()
    missing = [0.1, 5e3, -12.5, None, None, None, None, 0.0]
    cases = [
        {},
        {"row": missing},
        {"row": [None] * 8},
        {"row": []},
        {"row": [-0.0, 0.0, -0.0]},
        {"row": [0.1, 1 / 3, 16777217.0, 1e-46, -1e-46, 3.4028234663852886e38]},
        {"row": [0.1, 1 / 3, 16777217.0, 1e-46, -1e-46, 3.4028234663852886e38], "float32": False},
        {"row": [-0.0, 0.0, None], "float32": False},
        {"order_id": "订单-é-\U0001f6d2"},
        {"order_id": "e\u0301"},
        {"order_id": "\u00e9"},
        {"order_id": "x" * 256},
        {"event_version": 1},
        {"event_version": -1},
        {"event_version": 2**63 - 1},
        {"event_version": -(2**63)},
        {"engine": "leaves/1"},
        {"engine": "forest/1O", "order_id": "RD_12345"},
        {"model_digest": "00" * 32},
        {"model_digest": "ff" * 32},
    ]
    basis = {
        "engine": "forest/1",
        "order_id": "ORD_12345",
        "event_version": 0,
        "model_digest": _DIGEST,
        "row": example,
        "float32": True,
    }
    return [_answer(basis | case) for case in cases]


def _answer(vector: dict) -> dict:
    row = np.array([[np.nan if x is None else x for x in vector["row"]]], dtype=np.float64)
    bits = row_bits(row, vector["float32"])[0]
    digest = bytes.fromhex(vector["model_digest"])
    made = prediction_id(vector["engine"], vector["order_id"], vector["event_version"], digest, bits)
    return vector | {"prediction_id": made, "input_digest": input_digest(bits)}


def write(path: Path) -> None:
    """Writes the vectors as a JSON array, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors())
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")
