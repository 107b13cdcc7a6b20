"""Contract files: what a bundle's manifest says that no model file knows, in the manifest's own words.

A contract is a JSON object with the members name, description, features and thresholds of manifest.json, so that the
manifest of an earlier bundle is a contract, too: members that the export computes are passed over.
"""

import json
from pathlib import Path

import numpy as np

from trendbuy_training import catalogue
from trendbuy_training.native import Native

COMPUTED = {"format", "version", "model", "golden", "evaluation"}
MEMBERS = {"name", "description", "features", "thresholds"}
FEATURE_COMPUTED = {"seen", "importance"}
FEATURE_MEMBERS = {"name", "type", "unit", "description", "policy", "reason"}
FEATURE_OPTIONAL = {"categories", "unknown_category", "allowed"}
REASON_MEMBERS = {"code", "raises", "lowers", "missing"}


def read(path: Path) -> dict:
    """Reads a contract file; an error names the file and the member."""
    try:
        contract = json.loads(path.read_text(encoding="utf-8"))
        contract = _members(contract, "", MEMBERS, COMPUTED)
        if not isinstance(contract["features"], list):
            raise ValueError("/features must be a list")
        _members(contract["thresholds"], "/thresholds", {"medium", "high"})
        contract["features"] = [_feature(feature, f"/features/{i}") for i, feature in enumerate(contract["features"])]
    except (ValueError, TypeError) as fault:
        raise ValueError(f"{path}: {fault}") from fault
    _filled(contract, path)
    return contract


def _feature(feature: dict, place: str) -> dict:
    feature = _members(feature, place, FEATURE_MEMBERS, FEATURE_COMPUTED, FEATURE_OPTIONAL)
    _members(feature["reason"], f"{place}/reason", REASON_MEMBERS)
    _members(feature.get("allowed", {}), f"{place}/allowed", set(), set(), {"min", "max"})
    if feature["type"] not in ("number", "category"):
        raise ValueError(f'{place}/type must be "number" or "category"')
    if feature["policy"] not in ("required", "optional"):
        raise ValueError(f'{place}/policy must be "required" or "optional"')
    if not all(isinstance(bound, int | float) for bound in feature.get("allowed", {}).values()):
        raise ValueError(f"{place}/allowed must have numbers")
    names = [feature["name"], *feature.get("categories", [])]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{place}: its name and its categories must be text")
    return feature


def _members(
    value: dict, place: str, required: set, dropped: frozenset | set = frozenset(), optional: set | None = None
) -> dict:
    """The value without the members that are computed; raises ValueError for one too few or one unknown."""
    if not isinstance(value, dict):
        raise ValueError(f"{place or '/'} must be an object")
    if absent := required - value.keys():
        raise ValueError(f"{place}/{min(absent)} is missing")
    if unknown := value.keys() - required - dropped - (optional or set()):
        raise ValueError(f"{place}/{min(unknown)} is not a member of a contract")
    return {name: member for name, member in value.items() if name not in dropped}


def _filled(contract: dict, path: Path) -> None:
    """Raises ValueError with everything that --write-contract left to be written."""
    empty = [f"/{name}" for name in ("name",) if not contract[name]]
    empty += [f"/thresholds/{name}" for name, value in contract["thresholds"].items() if value is None]
    for i, feature in enumerate(contract["features"]):
        empty += [f"/features/{i}/reason/{name}" for name, text in feature["reason"].items() if not text]
    if empty:
        more = f" and {len(empty) - 8} more" if len(empty) > 8 else ""
        raise ValueError(f"{path}: still to be written: {', '.join(empty[:8])}{more}")


def match(contract: dict, model: Native) -> dict:
    """The contract with its features in the order of the model's; raises ValueError where the two are not about the same."""
    entries = {feature["name"]: feature for feature in contract["features"]}
    if len(entries) != len(contract["features"]):
        raise ValueError("the contract names a feature twice")
    names = model.names or list(entries)
    if model.names is None and len(names) != len(model.categorical):
        raise ValueError(f"the contract has {len(names)} features, the model {len(model.categorical)} without names")
    if absent := [name for name in names if name not in entries]:
        raise ValueError(f"the contract lacks features of the model: {', '.join(absent)}")
    if unknown := [name for name in entries if name not in names]:
        raise ValueError(f"the contract has features that the model lacks: {', '.join(unknown)}")
    ordered = [entries[name] for name in names]
    for feature, categorical in zip(ordered, model.categorical, strict=True):
        if (feature["type"] == "category") != categorical:
            kinds = ("category", "number") if categorical else ("number", "category")
            raise ValueError(
                f"feature {feature['name']}: the model was trained on a {kinds[0]}, the contract says {kinds[1]}"
            )
    return contract | {"features": ordered}


def categories(feature: str, codes: int, sources: dict[str, list[str] | None]) -> list[str]:
    """The names of a feature's categories in the order of their codes; sources tells who lists them.

    They are never guessed from values: a sample may lack one, and all codes behind it would then be another category's.
    """
    given = {source: names for source, names in sources.items() if names is not None}
    if not given:
        raise ValueError(
            f"feature {feature} is categorical, and nothing lists its categories in the order of training. Give a "
            'Parquet --frame whose column still has the pandas type "category", or write "categories" into the contract, '
            "as list(frame[column].cat.categories) was in training"
        )
    (first, names), *others = given.items()
    for source, other in others:
        if other != names:
            raise ValueError(f"feature {feature}: its categories are {names} in {first}, and {other} in {source}")
    if codes > len(names):
        raise ValueError(
            f"feature {feature}: {first} lists {len(names)} categories, the model splits on {codes}: use the training list"
        )
    return names


def skeleton(model: Native, names: list[str], lists: list[list[str] | None], trained: np.ndarray | None) -> dict:
    """A contract to be filled in. A feature that was missing in a training row is optional."""
    features = []
    for i, name in enumerate(names):
        required = trained is not None and not np.isnan(trained[:, i]).any()
        kind = {"type": "category", "categories": lists[i]} if model.categorical[i] else {"type": "number"}
        features.append(
            {"name": name, **kind, "unit": "", "description": "", "policy": "required" if required else "optional"}
            | {"reason": {"code": name.upper(), "raises": "", "lowers": "", "missing": ""}}
        )
    thresholds = {"medium": None, "high": None}
    return {"name": "", "description": "", "features": features, "thresholds": thresholds}


def demo(model: Native) -> dict | None:
    """The demo's contract if the features are the demo's."""
    if model.names != catalogue.NAMES:
        return None
    return catalogue.contract() | {"description": "Probability that a customer regrets a TrendBuy order"}
