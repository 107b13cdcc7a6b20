"""Reads the frame that a model was trained on into rows: float64, missing = NaN, a category = its index in the list."""

from pathlib import Path

import numpy as np
import pandas as pd


def read(path: Path) -> pd.DataFrame:
    """Reads Parquet, which keeps the types of the columns, or CSV, which has no categories."""
    match path.suffix:
        case ".parquet":
            return pd.read_parquet(path)
        case ".csv":
            return pd.read_csv(path)
    raise ValueError(f"{path}: a training frame is a .parquet or a .csv file; write one with frame.to_parquet(path)")


def categories(frame: pd.DataFrame | None, column: str) -> list[str] | None:
    """The categories of a column's type, which are those of training whatever rows are left; None if it has no such type."""
    if frame is None or column not in frame or not isinstance(frame[column].dtype, pd.CategoricalDtype):
        return None
    return [str(name) for name in frame[column].cat.categories]


def rows(frame: pd.DataFrame, names: list[str], lists: list[list[str] | None]) -> np.ndarray:
    """The columns of the model in its order; lists holds the categories of the categorical ones."""
    if absent := [name for name in names if name not in frame]:
        raise ValueError(f"the frame lacks columns of the model: {', '.join(absent)}")
    out = np.empty((len(frame), len(names)), np.float64)
    for i, name in enumerate(names):
        if isinstance(frame[name], pd.DataFrame):
            raise ValueError(f"the frame has the column {name} twice")
        out[:, i] = _numbers(frame[name]) if lists[i] is None else _codes(frame[name], lists[i])
    return out


def _numbers(column: pd.Series) -> np.ndarray:
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        raise ValueError(f"column {column.name} of the frame is {column.dtype}, the model was trained on numbers")
    values = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(values).any():
        raise ValueError(f"column {column.name} of the frame has infinite numbers, which no order may have")
    return values


def _codes(column: pd.Series, names: list[str]) -> np.ndarray:
    index = {name: float(code) for code, name in enumerate(names)}
    present = column.notna().to_numpy()
    out = np.full(len(column), np.nan)
    out[present] = [_code(value, index) for value in column[present]]
    if unknown := int(np.isnan(out[present]).sum()):
        raise ValueError(f"column {column.name} of the frame: {unknown} values are not among the categories {names}")
    return out


def _code(value: object, index: dict[str, float]) -> float:
    """The code of a category, NaN if it is none. A column of integers with a gap is one of floats in pandas."""
    if str(value) not in index and isinstance(value, float) and value.is_integer():
        value = int(value)
    return index.get(str(value), np.nan)
