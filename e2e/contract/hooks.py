"""Takes out of the generated orders the two things that a JSON Schema cannot forbid, so that all checks can stay on."""

import schemathesis


def sayable(order):
    if not isinstance(order, dict):
        return True
    order_id = order.get("order_id")
    if isinstance(order_id, str) and len(order_id.encode(errors="surrogatepass")) > 256:
        return False  # the bound is in bytes, a schema counts characters
    return not isinstance(order.get("event_version"), float)  # 1.0 is an integer to a schema


@schemathesis.hook
def filter_body(context, body):
    return sayable(body)
