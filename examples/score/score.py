"""Asks POST /score while a customer waits, and prints a decision for each order, or why there is none.

It reads orders from standard input, one JSON object a line. See docs/calling-score.md.

    python score.py --url http://127.0.0.1:8000 --within 0.25 < ../checkout/orders.jsonl
"""

import argparse
import asyncio
import json
import random
import sys

import httpx

ATTEMPTS = 3
# 502 is a gateway's word for a connection that was refused. Every other status stays what it is.
PASSING = {429, 502, 503}


class Problem(Exception):
    """An answer that is no decision: a problem document (RFC 9457), or one made up for a gateway's page."""

    def __init__(self, answer: httpx.Response):
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {}
        self.status = answer.status_code
        self.title = document.get("title", answer.reason_phrase)
        self.errors = document.get("errors", [])  # of {"pointer", "detail"}; neither holds a feature's value
        self.retry_after = float(seconds) if (seconds := answer.headers.get("Retry-After", "")).isdecimal() else 0.0
        super().__init__(f"{self.status} {self.title}")


async def decide(service: httpx.AsyncClient, order: dict, within: float) -> dict:
    """Returns the decision, or raises a Problem, a TimeoutError or an httpx.TransportError, `within` seconds at most."""
    clock = asyncio.get_running_loop().time
    due = clock() + within
    # httpx's own time-outs are for each read; only this one is for the whole call.
    async with asyncio.timeout_at(due):
        for attempt in range(1, ATTEMPTS + 1):
            wait = 0.01 * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            try:
                left = max(due - clock(), 0.001)
                answer = await service.post("/score", json=order, headers={"X-Request-Timeout": f"{left:.3f}"})
                if answer.status_code == 200:
                    return answer.json()
                failure = Problem(answer)
                if failure.status not in PASSING:
                    raise failure
                wait += failure.retry_after
            except httpx.TransportError as error:  # refused, reset, cut: scoring has no side effects, so ask again
                failure = error
            # A wait that would end past the deadline is not begun: the customer has better uses for the time.
            if attempt == ATTEMPTS or clock() + wait >= due:
                raise failure
            await asyncio.sleep(wait)


async def run(url: str, within: float) -> None:
    # One client for a process: it keeps connections open. Proxies are none of an order's business.
    async with httpx.AsyncClient(base_url=url, timeout=None, trust_env=False) as service:
        for line in sys.stdin:
            order = json.loads(line)
            order_id = order["order_id"]
            try:
                decision = await decide(service, order, within)
                print(order_id, decision["risk_band"], decision["prediction_id"])
            except Problem as problem:
                # 4xx is the caller's to mend: log these two, and never a feature's value.
                print(order_id, "none", problem, *(f"{e['pointer']} {e['detail']}" for e in problem.errors), sep="; ")
            except (TimeoutError, httpx.TransportError, ValueError, KeyError) as error:  # the last two: not a decision
                print(order_id, "none", type(error).__name__, sep="; ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="scoring door of riskscorer")
    parser.add_argument("--within", type=float, default=0.25, help="seconds that the customer waits at most")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.url, arguments.within))


if __name__ == "__main__":
    main()
