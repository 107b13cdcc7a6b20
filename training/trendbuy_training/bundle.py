"""Writes a bundle: the model, its contract, its golden rows and distributions, and the digests of all."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb

from trendbuy_training import catalogue, evaluation, golden
from trendbuy_training.model import SCHEMA, Numbers, importances, numbers, scores
from trendbuy_training.orders import from_rows, matrix

FORMAT = "riskscorer.bundle/1"
SUMS = "SHA256SUMS"

# The tolerance of contributions is relative to the sum of their sizes; margins of XGBoost must be equal bit by bit.
CONTRIBUTION_TOLERANCE = 1e-5
LIGHTGBM_MARGIN_TOLERANCE = 1e-12


def write(
    directory: Path, booster: xgb.Booster, training: pd.DataFrame, held_back: pd.DataFrame, regret: np.ndarray
) -> None:
    """Writes the bundle of a model trained on training; regret are the outcomes of the orders held back."""
    contract, trained = catalogue.contract(), matrix(training)
    rows = golden.rows(booster, matrix(held_back))
    model = {"file": "model.ubj", "library": "xgboost", "library_version": xgb.__version__, "trees": "best_iteration"}
    described = manifest(contract, catalogue.VERSION, model, len(rows), trained, importances(booster))
    described["evaluation"] = evaluation.evaluate(scores(booster, held_back), regret)
    save(
        directory,
        described,
        bytes(booster.save_raw("ubj")),
        lines(rows, numbers(booster, from_rows(rows, SCHEMA))),
        baseline(contract, trained, scores(booster, training)),
    )


def save(directory: Path, described: dict, model: bytes, golden_lines: str, distributions: dict) -> None:
    """Writes the files of a bundle, and their digests last."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / described["model"]["file"]).write_bytes(model)
    _write(directory / "manifest.json", text(described))
    _write(directory / "golden.jsonl", golden_lines)
    _write(directory / "baseline.json", text(distributions))
    _write(directory / SUMS, _sums(directory))


def digest(directory: Path) -> bytes:
    """The model digest: SHA-256 of the bytes of SHA256SUMS."""
    return hashlib.sha256((directory / SUMS).read_bytes()).digest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def text(value: dict) -> str:
    """JSON as bundles have it."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _sums(directory: Path) -> str:
    files = sorted(path for path in directory.iterdir() if path.name not in (SUMS, f"{SUMS}.minisig"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def manifest(
    contract: dict, version: str, model: dict, golden_rows: int, trained: np.ndarray | None, shares: dict[str, float]
) -> dict:
    """Returns manifest.json of a contract and a model, without an evaluation.

    trained are the training rows, which say what was seen; shares is each feature's importance.
    """
    columns = [None] * len(contract["features"]) if trained is None else trained.T
    return {
        "format": FORMAT,
        "name": contract["name"],
        "version": version,
        "description": contract["description"],
        "model": model,
        "features": [
            _feature(feature, column, shares[feature["name"]])
            for feature, column in zip(contract["features"], columns, strict=True)
        ],
        "thresholds": contract["thresholds"],
        "golden": {
            "rows": golden_rows,
            "margin_tolerance": 0 if model["library"] == "xgboost" else LIGHTGBM_MARGIN_TOLERANCE,
            "contribution_tolerance": CONTRIBUTION_TOLERANCE,
        },
    }


def _feature(feature: dict, column: np.ndarray | None, importance: float) -> dict:
    entry = {name: feature[name] for name in ("name", "type", "unit", "description", "policy")}
    entry |= {name: feature[name] for name in ("categories", "unknown_category", "allowed") if name in feature}
    if feature["type"] == "number" and column is not None and not np.isnan(column).all():
        entry["seen"] = {"min": float(np.nanmin(column)), "max": float(np.nanmax(column))}
    return entry | {"importance": importance, "reason": feature["reason"]}


def lines(rows: np.ndarray, answer: Numbers) -> str:
    """Returns golden.jsonl: each row with the training library's numbers."""
    out = []
    for i, row in enumerate(rows):
        line = {
            "row": [None if np.isnan(x) else float(x) for x in row],
            "margin": float(answer.margin[i]),
            "score": float(answer.score[i]),
            "contributions": answer.contributions[i].tolist(),
        }
        out.append(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
    return "".join(out)


def baseline(contract: dict, trained: np.ndarray, score: np.ndarray) -> dict:
    """Returns baseline.json: the distributions of the training rows' features and of their scores."""
    features: dict = {}
    for feature, column in zip(contract["features"], trained.T, strict=True):
        present = column[~np.isnan(column)]
        entry = features[feature["name"]] = {"missing": float(np.isnan(column).mean()) if len(column) else 0.0}
        if feature["type"] == "category":
            counts = np.bincount(present.astype(int), minlength=len(feature["categories"]))
            entry["categories"] = dict(zip(feature["categories"], counts.tolist(), strict=True))
        elif len(present):
            # Tenths of the distribution; a value that fills several of them gets one edge.
            edges = np.unique(np.quantile(present, np.linspace(0, 1, 11)))
            entry |= _histogram(present, edges)
    return {"rows": len(trained), "score": _histogram(score, np.arange(21) / 20), "features": features}


def _histogram(values: np.ndarray, edges: np.ndarray) -> dict:
    """counts[i] lies in [edges[i], edges[i+1]), the last one with its upper edge."""
    counts, _ = np.histogram(values, bins=edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
