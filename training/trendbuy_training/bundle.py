"""Writes a bundle: the model, its contract, its golden rows and distributions, and the digests of all."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

from trendbuy_training import catalogue, evaluation, golden
from trendbuy_training.model import SCHEMA, importances, numbers, scores
from trendbuy_training.orders import from_rows, matrix

FORMAT = "riskscorer.bundle/1"
SUMS = "SHA256SUMS"

# The tolerance of contributions is relative to the sum of their sizes; margins must be equal bit by bit.
CONTRIBUTION_TOLERANCE = 1e-5


def write(
    directory: Path, booster: xgb.Booster, training: pd.DataFrame, held_back: pd.DataFrame, regret: np.ndarray
) -> None:
    """Writes the bundle of a model trained on training; regret are the outcomes of the orders held back."""
    directory.mkdir(parents=True, exist_ok=True)
    manifest = _manifest(booster, training)
    manifest["evaluation"] = evaluation.evaluate(scores(booster, held_back), regret)
    (directory / "model.ubj").write_bytes(bytes(booster.save_raw("ubj")))
    _write(directory / "manifest.json", _json(manifest))
    _write(directory / "golden.jsonl", _golden(booster, matrix(held_back)))
    _write(directory / "baseline.json", _json(_baseline(booster, training)))
    _write(directory / SUMS, _sums(directory))


def digest(directory: Path) -> bytes:
    """The model digest: SHA-256 of the bytes of SHA256SUMS."""
    return hashlib.sha256((directory / SUMS).read_bytes()).digest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _json(value: dict) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _sums(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.name not in (SUMS, f"{SUMS}.minisig"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _manifest(booster: xgb.Booster, training: pd.DataFrame) -> dict:
    shares = importances(booster)
    return {
        "format": FORMAT,
        "name": catalogue.NAME,
        "version": catalogue.VERSION,
        "description": catalogue.DESCRIPTION,
        "model": {
            "file": "model.ubj",
            "library": "xgboost",
            "library_version": xgb.__version__,
            "trees": "best_iteration",
        },
        "features": [_feature(feature, training[feature.name], shares[feature.name]) for feature in catalogue.FEATURES],
        "thresholds": {"medium": catalogue.MEDIUM_THRESHOLD, "high": catalogue.HIGH_THRESHOLD},
        "golden": {
            "rows": golden.ROWS,
            "margin_tolerance": 0,
            "contribution_tolerance": CONTRIBUTION_TOLERANCE,
        },
    }


def _feature(feature: catalogue.Feature, column: pd.Series, importance: float) -> dict:
    entry: dict = {
        "name": feature.name,
        "type": "category" if feature.category else "number",
        "unit": feature.unit,
        "description": feature.description,
        "policy": "required" if feature.required else "optional",
    }
    if feature.category:
        entry["categories"] = catalogue.CATEGORIES
    else:
        allowed = {"min": feature.minimum, "max": feature.maximum}
        allowed = {side: bound for side, bound in allowed.items() if bound is not None}
        if allowed:
            entry["allowed"] = allowed
        entry["seen"] = {"min": float(column.min()), "max": float(column.max())}
    entry["importance"] = importance
    reason = feature.reason
    entry["reason"] = {
        "code": reason.code,
        "raises": reason.raises,
        "lowers": reason.lowers,
        "missing": reason.missing,
    }
    return entry


def _golden(booster: xgb.Booster, held_back: np.ndarray) -> str:
    rows = golden.rows(booster, held_back)
    answer = numbers(booster, from_rows(rows, SCHEMA))
    lines = []
    for i, row in enumerate(rows):
        line = {
            "row": [None if np.isnan(x) else float(x) for x in row],
            "margin": float(answer.margin[i]),
            "score": float(answer.score[i]),
            "contributions": answer.contributions[i].tolist(),
        }
        lines.append(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
    return "".join(lines)


def _baseline(booster: xgb.Booster, training: pd.DataFrame) -> dict:
    features: dict = {}
    for name in SCHEMA.names:
        column = training[name]
        features[name] = {"missing": float(column.isna().mean())}
        if name in SCHEMA.categories:
            counts = column.value_counts()
            features[name]["categories"] = {category: int(counts[category]) for category in SCHEMA.categories[name]}
        else:
            present = column.dropna().to_numpy()
            # Tenths of the distribution; a value that fills several of them gets one edge.
            edges = np.unique(np.quantile(present, np.linspace(0, 1, 11)))
            features[name] |= _histogram(present, edges)
    score = _histogram(scores(booster, training), np.arange(21) / 20)
    return {"rows": len(training), "score": score, "features": features}


def _histogram(values: np.ndarray, edges: np.ndarray) -> dict:
    """counts[i] lies in [edges[i], edges[i+1]), the last one with its upper edge."""
    counts, _ = np.histogram(values, bins=edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
