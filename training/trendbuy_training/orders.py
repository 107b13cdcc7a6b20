"""Reads orders from JSON lines into frames that XGBoost takes."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Schema:
    """The features of a model in training order; categories holds a list for each categorical one."""

    names: list[str]
    categories: dict[str, list[str]]


@dataclass(frozen=True)
class Orders:
    """Orders in the sequence of the file; regret is None unless each line tells the outcome."""

    ids: list[str]
    versions: list[int]
    features: pd.DataFrame
    regret: np.ndarray | None


def frame(features: Iterable[dict], schema: Schema) -> pd.DataFrame:
    """Puts features into columns by name: absent and null are missing, categories are named.

    A feature or category that the schema lacks is an error, as it is in the service.
    """
    features = list(features)
    known = set(schema.names)
    for row in features:
        if not row.keys() <= known:
            raise ValueError(f"features that the model does not know: {sorted(row.keys() - known)}")
    columns = {}
    for name in schema.names:
        values = [row.get(name) for row in features]
        if name not in schema.categories:
            columns[name] = np.array(values, dtype=np.float64)
            continue
        index = {category: code for code, category in enumerate(schema.categories[name])}
        try:
            codes = [-1 if value is None else index[value] for value in values]
        except KeyError as unknown:
            raise ValueError(f"{name}: category not in the model's list") from unknown
        columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(schema.categories[name], dtype=object))
    return pd.DataFrame(columns)


def matrix(features: pd.DataFrame) -> np.ndarray:
    """The rows as the bundle writes them: float64, missing = NaN, a category = its index in the list."""
    out = np.empty(features.shape, dtype=np.float64)
    for i, name in enumerate(features.columns):
        column = features[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy().astype(np.float64)
            out[:, i] = np.where(codes < 0, np.nan, codes)
        else:
            out[:, i] = column.to_numpy()
    return out


def from_rows(rows: np.ndarray, schema: Schema) -> pd.DataFrame:
    """The inverse of matrix."""
    columns = {}
    for i, name in enumerate(schema.names):
        if name in schema.categories:
            codes = np.where(np.isnan(rows[:, i]), -1, rows[:, i]).astype(int)
            categories = pd.Index(schema.categories[name], dtype=object)
            columns[name] = pd.Categorical.from_codes(codes, categories=categories)
        else:
            columns[name] = rows[:, i]
    return pd.DataFrame(columns)


def read_chunks(path: Path, schema: Schema, size: int) -> Iterator[Orders]:
    """Reads order events, or {"order": event, "regret": 0 or 1} as `riskctl generate --outcomes` writes them."""
    with path.open(encoding="utf-8") as lines:
        while chunk := [json.loads(line) for line in islice(lines, size)]:
            regret = None
            if all("order" in line for line in chunk):
                if all("regret" in line for line in chunk):
                    regret = np.array([line["regret"] for line in chunk], dtype=np.int8)
                chunk = [line["order"] for line in chunk]
            yield Orders(
                ids=[order["order_id"] for order in chunk],
                versions=[order.get("event_version", 0) for order in chunk],
                features=frame((order["features"] for order in chunk), schema),
                regret=regret,
            )


def read(path: Path, schema: Schema) -> Orders:
    """Reads a whole file; see read_chunks."""
    for orders in read_chunks(path, schema, size=2**62):
        return orders
    raise ValueError(f"{path}: no orders")
