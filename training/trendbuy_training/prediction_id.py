"""The prediction id, computed from its definition and nothing else."""

import hashlib
import struct

import numpy as np

_DOMAIN = b"riskscorer/prediction/1\0"
_INPUT_DOMAIN = b"riskscorer/input/1\0"
_NAN = 0x7FF8000000000000


def row_bits(rows: np.ndarray, float32: bool) -> np.ndarray:
    """The big-endian bits of each row's values as they are hashed.

    Values are rounded to float32 first where the model does; every NaN has one pattern, and -0 is +0.
    """
    values = rows.astype(np.float32).astype(np.float64) if float32 else rows.astype(np.float64)
    values = values + 0.0  # -0 + 0 is +0
    bits = values.view(np.uint64).copy()
    bits[np.isnan(values)] = _NAN
    return bits.astype(">u8")


def _prefixed(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack(">I", len(data)) + data


def prediction_id(engine: str, order_id: str, event_version: int, model_digest: bytes, bits: np.ndarray) -> str:
    """The id of the decision on one row; bits is that row's line of row_bits."""
    message = b"".join(
        (
            _DOMAIN,
            _prefixed(engine),
            _prefixed(order_id),
            struct.pack(">q", event_version),
            model_digest,
            struct.pack(">I", len(bits)),
            bits.tobytes(),
        )
    )
    return hashlib.sha256(message).digest()[:16].hex()


def input_digest(bits: np.ndarray) -> str:
    """The digest of what a model saw; bits is the row's line of row_bits."""
    return hashlib.sha256(_INPUT_DOMAIN + struct.pack(">I", len(bits)) + bits.tobytes()).hexdigest()
