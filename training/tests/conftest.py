import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trendbuy_training import catalogue
from trendbuy_training import export as command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def bundle_directory() -> Path:
    """The committed demo bundle."""
    return ROOT / "models" / catalogue.VERSION


@pytest.fixture(scope="session")
def manifest(bundle_directory: Path) -> dict:
    return json.loads((bundle_directory / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden(bundle_directory: Path) -> list[dict]:
    return [json.loads(line) for line in (bundle_directory / "golden.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def events(golden: list[dict], manifest: dict) -> list[dict]:
    """The golden rows as order events; missing features are null in every other one, else absent."""
    made = []
    for number, line in enumerate(golden):
        features = {}
        for feature, value in zip(manifest["features"], line["row"], strict=True):
            if value is None and number % 2:
                continue
            features[feature["name"]] = feature["categories"][int(value)] if "categories" in feature else value
        made.append({"order_id": f"ORD_{number}", "event_version": number % 3, "features": features})
    return made


@pytest.fixture(scope="session")
def orders_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 orders with outcomes, rougher than ordergen's, for what needs some data and no particular world."""
    random = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("orders") / "orders.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for number in range(2000):
            features = {name: round(random.uniform(), 3) for name in catalogue.NAMES}
            features["feature_velocity_24h"] = int(random.integers(0, 20000))
            features["feature_device_type"] = catalogue.CATEGORIES[random.integers(0, 4)]
            if number % 7 == 0:
                features["feature_prod_size_fit_rate"] = None
            if number % 5 == 0:
                del features["feature_creator_reliability"]
            regret = int(random.uniform() < features["feature_discount_pct"])
            out.write(json.dumps({"order": {"order_id": f"ORD_{number}", "features": features}, "regret": regret}) + "\n")
    return path


@pytest.fixture(scope="session")
def trained_on() -> tuple[pd.DataFrame, np.ndarray]:
    """A frame of the demo's features as data scientists have it, and outcomes in which some of them matter."""
    random = np.random.default_rng(11)
    rows = 3000
    frame = pd.DataFrame({name: random.uniform(size=rows).round(3) for name in catalogue.NAMES[:-1]})
    frame["feature_velocity_24h"] = random.integers(0, 20000, rows).astype(float)
    frame.loc[random.uniform(size=rows) < 0.2, "feature_creator_reliability"] = np.nan
    devices = random.choice(catalogue.CATEGORIES, rows)
    frame["feature_device_type"] = pd.Categorical(devices, categories=catalogue.CATEGORIES)
    risk = 0.6 * frame["feature_discount_pct"] + frame["feature_velocity_24h"] / 60000
    risk += (
        0.3 * (devices == "mobile") - 0.2 * (devices == "tablet") - 0.2 * frame["feature_creator_reliability"].fillna(0.8)
    )
    return frame, (random.uniform(size=rows) < risk).to_numpy().astype(int)


@pytest.fixture(scope="session")
def frame_file(trained_on, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frame as Parquet, which keeps the type of the categories."""
    path = tmp_path_factory.mktemp("frame") / "train.parquet"
    trained_on[0].to_parquet(path)
    return path


@pytest.fixture
def export(tmp_path, capsys):
    """Runs the command; returns its exit code, the bundle's directory, and what it said."""

    def run(model: Path, *options: object, version: str = "v1"):
        output = tmp_path / "bundle"
        arguments = ["--model", model, "--version", version, "--output", output, *options]
        code = command.main([str(argument) for argument in arguments])
        return code, output, capsys.readouterr().err

    return run
