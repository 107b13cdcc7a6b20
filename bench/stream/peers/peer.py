"""A stream scorer as one writes it in Python: confluent-kafka, fastavro and XGBoost with SHAP contributions, in batches.

Reads order events, scores and explains each batch with one call, and writes results in riskscorer's schema. At least
once: offsets are committed after the results of a batch are acknowledged. Run one process a core.
"""

import argparse
import io
import json
import signal
import struct

import fastavro
import numpy as np
import xgboost
from confluent_kafka import Consumer, Producer, TopicPartition

THREE = 3  # top contributors
BATCH = 1000
FRAME = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("broker", "from", "to", "group", "bundle", "pins"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())

    pins = json.load(open(arguments.pins))
    orders, results = (fastavro.parse_schema(pins[id]) for id in ("1", "2"))
    manifest = json.load(open(f"{arguments.bundle}/manifest.json"))
    model = Model(arguments.bundle, manifest)
    consumer = Consumer({
        "bootstrap.servers": arguments.broker, "group.id": arguments.group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "fetch.wait.max.ms": 500, "fetch.message.max.bytes": 1 << 20,
    })
    producer = Producer({
        "bootstrap.servers": arguments.broker, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
        "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000,
    })
    consumer.subscribe([vars(arguments)["from"]])
    while running:
        messages = [m for m in consumer.consume(BATCH, 0.01) if not m.error()]
        if not messages:
            continue
        events = [fastavro.schemaless_reader(io.BytesIO(m.value()[FRAME:]), orders, None) for m in messages]
        for message, result in zip(messages, model.decide(events)):
            value = io.BytesIO()
            value.write(struct.pack(">bI", 0, 2))
            fastavro.schemaless_writer(value, results, result)
            producer.produce(vars(arguments)["to"], key=message.key(), value=value.getvalue())
        producer.flush()
        ends = {(m.topic(), m.partition()): m.offset() + 1 for m in messages}
        consumer.commit(offsets=[TopicPartition(*of, offset) for of, offset in ends.items()], asynchronous=False)
    consumer.close()


class Model:
    """The bundle's model, one thread."""

    def __init__(self, bundle: str, manifest: dict):
        self.booster = xgboost.Booster({"nthread": 1})
        self.booster.load_model(f"{bundle}/model.ubj")
        self.manifest, self.features = manifest, manifest["features"]
        self.names = [feature["name"] for feature in self.features]
        self.codes = [
            {name: code for code, name in enumerate(feature.get("categories") or ())} for feature in self.features
        ]

    def decide(self, events: list[dict]):
        rows = np.empty((len(events), len(self.names)), np.float32)
        for i, event in enumerate(events):
            features = event["features"]
            for j, name in enumerate(self.names):
                value = features[name]
                rows[i, j] = np.nan if value is None else self.codes[j][value] if self.codes[j] else value
        kinds = ["c" if codes else "q" for codes in self.codes]
        matrix = xgboost.DMatrix(
            rows, feature_types=kinds, feature_names=self.names, enable_categorical=True, nthread=1
        )
        contributions = self.booster.predict(matrix, pred_contribs=True)
        margins = contributions.sum(axis=1)
        scores = 1 / (1 + np.exp(-margins))
        top = np.argsort(-np.abs(contributions[:, :-1]), axis=1)[:, :THREE]
        for i, event in enumerate(events):
            reasons = [self.reason(j, float(contributions[i, j]), rows[i, j]) for j in top[i] if contributions[i, j] != 0]
            score = float(scores[i])
            yield {
                "order_id": event["order_id"], "event_version": event["event_version"], "occurred_at": event["occurred_at"],
                "prediction_id": "0" * 32, "risk_score": round(score, 4), "margin": float(margins[i]),
                "risk_band": "LOW" if score < 0.4 else "MEDIUM" if score < 0.65 else "HIGH",
                "model_version": self.manifest["version"], "model_digest": "0" * 64, "engine": "xgboost/3",
                "top_contributors": [reason["text"] for reason in reasons], "reasons": reasons, "explanation": "EXACT",
            }

    def reason(self, j: int, contribution: float, value: float) -> dict:
        texts = self.features[j]["reason"]
        text = texts["missing"] if value != value else texts["raises"] if contribution > 0 else texts["lowers"]
        return {"code": texts["code"], "text": text, "feature": self.names[j], "contribution": contribution}


if __name__ == "__main__":
    main()
