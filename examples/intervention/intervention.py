"""Acts on risk results as an intervention engine must: once for each order and event version, the highest version wins.

Its tables are an outbox: what carries the actions out reads them there. See rule.sql, and docs/consuming-results.md.

    KAFKA_BROKERS=127.0.0.1:9092 SCHEMA_REGISTRY_URL=http://127.0.0.1:8081 python intervention.py --db acts.db
"""

import argparse
import io
import json
import os
import signal
import sqlite3
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path

import fastavro
from confluent_kafka import Consumer

FIELDS = ("order_id", "event_version", "prediction_id", "model_version", "risk_band", "risk_score")


@cache
def schema(schema_id: int):
    url = f"{os.environ['SCHEMA_REGISTRY_URL']}/schemas/ids/{schema_id}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))


def decode(value: bytes) -> dict:
    """Reads a result, in Avro with Confluent framing or in JSON."""
    if value[:1] == b"{":
        return json.loads(value)
    if value[:1] != b"\0" or len(value) < 5:
        raise ValueError("neither JSON nor Avro with Confluent framing")
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema(int.from_bytes(value[1:5])), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", default="interventions.db", help="SQLite file of what was acted on")
    parser.add_argument("--topic", default="risk-results", help="topic of results")
    parser.add_argument("--group", default="intervention-engine", help="consumer group")
    parser.add_argument("--exit-when-idle", type=float, default=0, help="end after so many seconds without a result (0: never)")
    arguments = parser.parse_args()

    *tables, record, act, _ = Path(__file__).with_name("rule.sql").read_text().split(";\n")
    db = sqlite3.connect(arguments.db, isolation_level=None)
    for table in tables:
        db.execute(table)
    consumer = Consumer({
        "bootstrap.servers": os.environ["KAFKA_BROKERS"], "group.id": arguments.group, "auto.offset.reset": "earliest",
        "isolation.level": "read_committed", "session.timeout.ms": 10_000,
        "enable.auto.commit": False,  # an offset is committed once its transaction is
    })
    consumer.subscribe([arguments.topic])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    last = time.monotonic()
    try:
        while not arguments.exit_when_idle or time.monotonic() - last < arguments.exit_when_idle:
            messages = consumer.consume(200, timeout=0.5)
            for message in messages:
                if message.error():
                    print("intervention:", message.error(), file=sys.stderr)
            results = [decode(message.value()) for message in messages if not message.error()]
            if not results:
                continue
            last, acted = time.monotonic(), 0
            db.execute("BEGIN")
            for result in results:
                fields = [result[name] for name in FIELDS]
                db.execute(record, fields)
                acted += db.execute(act, fields[:5]).rowcount
            db.execute("COMMIT")
            consumer.commit(asynchronous=False)
            print(f"{len(results)} results, acted on {acted}", flush=True)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
