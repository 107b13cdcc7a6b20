"""Recomputes decisions with the training library: the independent oracle of the end-to-end tests."""

import json
import os
from pathlib import Path
from typing import TextIO

import numpy as np
import xgboost as xgb

from trendbuy_training.bundle import digest
from trendbuy_training.model import Numbers, numbers
from trendbuy_training.orders import Orders, Schema, matrix, read_chunks
from trendbuy_training.prediction_id import prediction_id, row_bits

CHUNK = 20_000
TOP = 3


class Oracle:
    """Decides orders as a bundle's model and manifest demand, in the Python library's own numbers."""

    def __init__(self, directory: Path, engine: str) -> None:
        self.manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        features = self.manifest["features"]
        self.schema = Schema(
            names=[feature["name"] for feature in features],
            categories={feature["name"]: feature["categories"] for feature in features if "categories" in feature},
        )
        self.engine = engine
        self.digest = digest(directory)
        self.booster = xgb.Booster(model_file=directory / self.manifest["model"]["file"])
        self.booster.set_param({"nthread": os.cpu_count()})

    def decide(self, orders: Orders) -> list[dict]:
        """One decision an order, in the sequence of the orders."""
        rows = matrix(orders.features)
        bits = row_bits(rows, float32=True)
        answer = numbers(self.booster, orders.features)
        # A stable sort keeps training order among equals.
        top = np.argsort(-np.abs(answer.contributions[:, :-1]), axis=1, kind="stable")[:, :TOP]
        return [self._decision(orders, i, rows[i], bits[i], answer, top[i]) for i in range(len(rows))]

    def _decision(self, orders: Orders, i: int, row: np.ndarray, bits: np.ndarray, answer: Numbers, top: np.ndarray) -> dict:
        order_id, version = orders.ids[i], orders.versions[i]
        score = float(answer.score[i])
        contributions = answer.contributions[i]
        reasons = [self._reason(f, row, float(contributions[f])) for f in top.tolist() if contributions[f] != 0]
        return {
            "order_id": order_id,
            "event_version": version,
            "prediction_id": prediction_id(self.engine, order_id, version, self.digest, bits),
            "risk_score": round(score, 4),
            "score": score,
            "margin": float(answer.margin[i]),
            "risk_band": self._band(score),
            "model_version": self.manifest["version"],
            "model_digest": self.digest.hex(),
            "engine": self.engine,
            "top_contributors": [reason["text"] for reason in reasons],
            "reasons": reasons,
            "contributions": contributions.tolist(),
        }

    def _band(self, score: float) -> str:
        thresholds = self.manifest["thresholds"]
        if score < thresholds["medium"]:
            return "LOW"
        return "MEDIUM" if score < thresholds["high"] else "HIGH"

    def _reason(self, index: int, row: np.ndarray, contribution: float) -> dict:
        feature = self.manifest["features"][index]
        texts = feature["reason"]
        if np.isnan(row[index]):
            text = texts["missing"]
        else:
            text = texts["raises"] if contribution > 0 else texts["lowers"]
        return {"code": texts["code"], "text": text, "feature": feature["name"], "contribution": contribution}


def run(directory: Path, engine: str, orders: Path, output: Path, progress: TextIO) -> None:
    """Writes one decision a line for each order of the file."""
    oracle = Oracle(directory, engine)
    done = 0
    with output.open("w", encoding="utf-8", newline="\n") as out:
        for chunk in read_chunks(orders, oracle.schema, CHUNK):
            out.writelines(
                json.dumps(decision, ensure_ascii=False, separators=(",", ":")) + "\n" for decision in oracle.decide(chunk)
            )
            done += len(chunk.ids)
            print(f"oracle: {done} orders", file=progress)
