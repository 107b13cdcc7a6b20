"""Takes out of the generated requests what a JSON Schema cannot forbid, so that all checks can stay on."""

import schemathesis


def sayable(order):
    if not isinstance(order, dict):
        return True
    order_id = order.get("order_id")
    if isinstance(order_id, str) and len(order_id.encode(errors="surrogatepass")) > 256:
        return False  # the bound is in bytes, a schema counts characters
    occurred_at = order.get("occurred_at")
    if isinstance(occurred_at, str) and occurred_at.startswith(("0000-", "0001-01-01", "9999-12-31")):
        return False  # in UTC this may be a year that RFC 3339 cannot write, or the first moment, which stands for none
    return not isinstance(order.get("event_version"), float)  # 1.0 is an integer to a schema


@schemathesis.hook
def filter_body(context, body):
    return sayable(body)


@schemathesis.hook
def filter_headers(context, headers):
    """A caller that waits for a few microseconds is rightly told that its time has passed."""
    try:
        return float((headers or {}).get("X-Request-Timeout", "1")) >= 1
    except ValueError:
        return True
