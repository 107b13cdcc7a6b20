"""Publishes orders as the checkout pipeline does: keyed by order_id and acknowledged by all replicas.

It reads them from standard input, one JSON object a line: the body that POST /score takes, with event_version and
occurred_at.

    KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 python checkout.py < orders.jsonl
"""

import argparse
import io
import json
import os
import sys
import urllib.request
from datetime import datetime

import fastavro
from confluent_kafka import Producer


def avro_encoder(subject: str):
    """Returns what writes with the latest schema that is registered for the subject."""
    url = f"{os.environ['SCHEMA_REGISTRY_URL']}/subjects/{subject}/versions/latest"
    with urllib.request.urlopen(url, timeout=10) as answer:
        latest = json.load(answer)
    schema = fastavro.parse_schema(json.loads(latest["schema"]))

    def encode(line: bytes) -> bytes:
        order = json.loads(line)
        order["occurred_at"] = datetime.fromisoformat(order["occurred_at"])
        out = io.BytesIO()
        out.write(b"\0" + latest["id"].to_bytes(4))
        # Unknown names are an error: a misspelt feature would be missing, and nobody would know.
        fastavro.schemaless_writer(out, schema, order, strict_allow_default=True)
        return out.getvalue()

    return encode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--format", default="avro", choices=("avro", "json"))
    parser.add_argument("--topic", default="order-features", help="topic of orders")
    arguments = parser.parse_args()
    encode = avro_encoder(arguments.topic + "-value") if arguments.format == "avro" else bytes
    producer = Producer({
        "bootstrap.servers": os.environ["KAFKA_BROKERS"], "enable.idempotence": True,
        "partitioner": "murmur2_random",  # that of the Java client: an order's events share a partition
    })
    failed = []
    sent = 0
    for line in sys.stdin.buffer:
        line = line.strip()
        producer.produce(arguments.topic, key=json.loads(line)["order_id"], value=encode(line),
                         on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
        sent += 1
    producer.flush()
    print(f"{sent} orders published")
    if failed:
        sys.exit(f"checkout: {len(failed)} were not acknowledged: {failed[0]}")


if __name__ == "__main__":
    main()
