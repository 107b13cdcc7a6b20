"""Scores the orders of standard input, a JSON array, with the clients that speak the Open Inference Protocol.

Prints, for each client and form of tensors, the outputs by name, in the orders' order. A request takes the orders that
have the same features: a typed tensor has no place for a missing value. KServe's lists have, so one takes them all.
"""

import asyncio
import json
import sys

import numpy
import tritonclient.http
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient.utils import InferenceServerException

MODEL = "trendbuy_xgb"
OUTPUTS = ["risk_score", "prediction_id", "risk_band", "top_contributors"]


def by_features(orders):
    """Groups of indexes, by the names of the features that are there."""
    groups = {}
    for i, order in enumerate(orders):
        names = tuple(sorted(k for k, v in order["features"].items() if v is not None))
        groups.setdefault(names, []).append(i)
    return groups


def columns(orders, names, number):
    """Arrays by tensor name; number is the type of numeric features."""
    out = {
        "order_id": numpy.array([o["order_id"] for o in orders], dtype=object),
        "event_version": numpy.array([o["event_version"] for o in orders], dtype=numpy.int64),
    }
    for name in names:
        values = [o["features"][name] for o in orders]
        out[name] = numpy.array(values, dtype=object if isinstance(values[0], str) else number)
    return out


DATATYPES = {"O": "BYTES", "int64": "INT64", "float32": "FP32", "float64": "FP64", "object": "BYTES"}


def gather(rows, indexes, read):
    """Puts the outputs of some orders where they belong."""
    for name in OUTPUTS:
        values = read(name)
        for i, value in zip(indexes, values.tolist(), strict=True):
            value = [v.decode() if isinstance(v, bytes) else v for v in value] if isinstance(value, list) else value
            rows[name][i] = value.decode() if isinstance(value, bytes) else value


def empty(orders):
    return {name: [None] * len(orders) for name in OUTPUTS}


def triton(address, orders, in_bytes):
    client = tritonclient.http.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
    metadata = client.get_model_metadata(MODEL)
    assert {o["name"] for o in metadata["outputs"]} >= set(OUTPUTS), metadata
    rows = empty(orders)
    for names, indexes in by_features(orders).items():
        # Bytes go as 32-bit numbers, which is what the model computes with.
        arrays = columns([orders[i] for i in indexes], names, numpy.float32 if in_bytes else numpy.float64)
        inputs = []
        for name, array in arrays.items():
            tensor = tritonclient.http.InferInput(name, array.shape, DATATYPES[str(array.dtype)])
            inputs.append(tensor.set_data_from_numpy(array, binary_data=in_bytes))
        outputs = None  # all, in bytes
        if not in_bytes:
            outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=False) for name in OUTPUTS]
        gather(rows, indexes, client.infer(MODEL, inputs, outputs=outputs).as_numpy)
    matrix = tritonclient.http.InferInput("input", [1, 8], "FP64")
    matrix.set_data_from_numpy(numpy.zeros((1, 8)))
    try:
        client.infer(MODEL, [matrix])
    except InferenceServerException as e:
        assert e.status() == "422" and "one tensor a feature" in e.message(), e
    else:
        raise AssertionError("an unnamed matrix was scored")
    client.close()
    return rows


async def kserve(address, orders, in_bytes):
    client, base = InferenceRESTClient(RESTConfig(protocol="v2")), f"http://{address}"
    assert await client.is_server_live(base) and await client.is_server_ready(base) and await client.is_model_ready(base, MODEL)
    rows, everything = empty(orders), range(len(orders))
    for names, indexes in by_features(orders).items() if in_bytes else [((), everything)]:
        inputs = []
        for name, array in columns([orders[i] for i in indexes], names, numpy.float64).items():
            tensor = InferInput(name, list(array.shape), DATATYPES[str(array.dtype)])
            tensor.set_data_from_numpy(array, binary_data=in_bytes)
            inputs.append(tensor)
        if not in_bytes:
            for name in sorted({name for o in orders for name in o["features"]}):
                values = [o["features"].get(name) for o in orders]
                datatype = "BYTES" if any(isinstance(v, str) for v in values) else "FP64"
                inputs.append(InferInput(name, [len(values), 1], datatype, values))
        request = InferRequest(MODEL, inputs, parameters={"binary_data_output": in_bytes})
        answer = await client.infer(base, request, model_name=MODEL)
        gather(rows, indexes, lambda name, a=answer: a.get_output_by_name(name).as_numpy())
    try:
        await client.infer(base, InferRequest(MODEL, [InferInput("input", [1, 8], "FP64", [0.0] * 8)]), model_name=MODEL)
    except Exception as e:
        assert "one tensor a feature" in str(e), e
    else:
        raise AssertionError("an unnamed matrix was scored")
    await client.close()
    return rows


address, orders = sys.argv[1], json.load(sys.stdin)
for order in orders:
    order["features"] = {k: v for k, v in order["features"].items() if v is not None}
json.dump(
    {
        "tritonclient json": triton(address, orders, False),
        "tritonclient bytes": triton(address, orders, True),
        "kserve json": asyncio.run(kserve(address, orders, False)),
        "kserve bytes": asyncio.run(kserve(address, orders, True)),
    },
    sys.stdout,
)
