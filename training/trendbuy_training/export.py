"""Makes a bundle of a model that was trained elsewhere: a pickle, a file of joblib, or a native file of XGBoost or LightGBM.

The library version that wrote the model computes the margins and scores of the golden rows, in an environment of its own;
the current version computes their contributions, from the native file. Then riskctl judges the bundle, and only one that
holds is left at --output.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from trendbuy_training import artifact, bundle, contract, edges, environment, frames, native
from trendbuy_training.artifact import Artifact
from trendbuy_training.environment import DependencyError
from trendbuy_training.model import Numbers
from trendbuy_training.native import Native

ROOT = environment.TRAINING.parent

EXAMPLES = """examples:
  # 1. a contract to fill in: texts of reasons, thresholds, ranges
  training/export.sh --model model.pkl --trust-pickle --frame train.parquet --write-contract contract.json
  # 2. the bundle
  training/export.sh --model model.pkl --trust-pickle --frame train.parquet --contract contract.json \\
      --version regret_v2.0.0 --output models/regret_v2.0.0
  # a native file of LightGBM does not say its version; without a frame the contract lists the categories
  training/export.sh --model model.txt --library-version 4.7.0 --contract contract.json --version v3 --output models/v3
"""


def main(arguments: list[str] | None = None) -> int:
    """Exports one model. Exit code 1: it cannot become a bundle; 2: a wrong call; 3: something is not there."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if not args.write_contract and not (args.output and args.version):
        parser.error("--output and --version are needed, or --write-contract")
    try:
        with tempfile.TemporaryDirectory() as work:
            _export(args, Path(work))
    except DependencyError as fault:
        print(f"export: {fault}", file=sys.stderr)
        return 3
    except (OSError, ValueError) as fault:
        print(f"export: {fault}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="training/export.sh", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="pickle, joblib, XGBoost's .ubj or .json, LightGBM's .txt")
    parser.add_argument(
        "--trust-pickle", action="store_true", help="run the code that a pickle holds: only one from people you trust"
    )
    parser.add_argument("--frame", type=Path, help="the frame it was trained on: .parquet (keeps categories) or .csv")
    parser.add_argument(
        "--contract", type=Path, help="contract, or an earlier bundle's manifest.json; the demo's features need none"
    )
    parser.add_argument(
        "--write-contract", type=Path, metavar="FILE", help="write a contract to be filled in, and no bundle"
    )
    parser.add_argument("--version", help="the bundle's version, which is the model_version of every result")
    parser.add_argument("--output", type=Path, help="directory of the bundle; it must not be there yet")
    parser.add_argument("--library-version", help="the version that wrote the model, where its file does not say it")
    parser.add_argument(
        "--trees",
        choices=["best_iteration", "all"],
        default="best_iteration",
        help="all: also those after early stopping's best",
    )
    return parser


def _say(text: str) -> None:
    print(f"export: {text}", file=sys.stderr)


def _export(args: argparse.Namespace, work: Path) -> None:
    output = args.write_contract or args.output
    if output.exists():
        raise ValueError(f"{output} is there already, and is not written over: name another place, or remove it")
    source = artifact.inspect(args.model)
    if source.pickled and not args.trust_pickle:
        raise ValueError(
            f"{source.path} is a pickle, and reading it runs whatever code it holds: add --trust-pickle if you trust it"
        )
    # Read before anything takes long: an environment may have to be installed.
    given = contract.read(args.contract) if args.contract else None
    frame = None if args.frame is None else frames.read(args.frame)
    version = _version(source, args.library_version)
    _say(f"{source.path} is {source.what}, written by {source.library} {version}")
    writer = Writer(environment.python(source.library, version), source, work, args.trees == "all")
    model = native.read(writer.convert(), args.trees == "all")
    if args.write_contract:
        _write_contract(args.write_contract, model, frame)
        return
    agreed = _agree(given, model, frame)
    trained = None if frame is None else _trained(agreed, frame)
    rows = edges.rows(model, agreed, trained)
    _say(f"{len(rows)} golden rows: margins and scores by {source.library} {version}, contributions by the current one")
    margin, score = writer.numbers(rows if trained is None else np.concatenate([rows, trained]))
    about = {"file": source.native, "library": source.library, "library_version": version, "trees": args.trees}
    shares = dict(zip([feature["name"] for feature in agreed["features"]], model.shares.tolist(), strict=True))
    bundle.save(
        work / "bundle",
        bundle.manifest(agreed, args.version, about, len(rows), trained, shares),
        writer.saved.read_bytes(),
        bundle.lines(rows, Numbers(margin[: len(rows)], score[: len(rows)], model.contributions(rows))),
        bundle.baseline(agreed, np.empty((0, len(shares))) if trained is None else trained, score[len(rows) :]),
    )
    _verify(work / "bundle", output)
    # Left there only when it holds.
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(work / "bundle", output)
    _say(f"{output} is the bundle; to judge it again: riskctl bundle verify {output}")


@dataclass(frozen=True)
class Writer:
    """The library version that wrote the model, in its own process; its files go by way of the directory work."""

    python: str
    source: Artifact
    work: Path
    all_trees: bool

    @property
    def saved(self) -> Path:
        """The native file."""
        return self.work / self.source.native

    def convert(self) -> Path:
        """Has a pickle saved as a native file; a file that is one stays as it is."""
        if self.source.pickled:
            self._run("convert")
        else:
            shutil.copyfile(self.source.path, self.saved)
        return self.saved

    def numbers(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The margins and the scores of rows."""
        np.save(self.work / "rows.npy", rows)
        self._run("numbers")
        return np.load(self.work / "margin.npy"), np.load(self.work / "score.npy")

    def _run(self, step: str) -> None:
        options = [f"--library={self.source.library}"]
        options += ["--pickled"] if self.source.pickled else []
        options += ["--all-trees"] if self.all_trees else []
        environment.run(self.python, step, self.source.path.resolve(), self.work, *options)


def _version(source: Artifact, named: str | None) -> str:
    if source.version and named and source.version != named:
        raise ValueError(f"{source.path} says that {source.library} {source.version} wrote it, --library-version {named}")
    if version := source.version or named:
        return version
    if source.library == "xgboost" and not source.pickled:
        raise ValueError(f"{source.path} ends before the version that wrote it, which is the last it says: copy it again")
    raise ValueError(
        f"{source.path} does not say which version of {source.library} wrote it: name it with --library-version, as "
        f"{source.library}.__version__ was in training (a pickle of XGBoost that does not say it was not fitted, perhaps)"
    )


def _write_contract(path: Path, model: Native, frame: pd.DataFrame | None) -> None:
    """Writes a contract to be filled in."""
    names = model.names or (list(frame.columns) if frame is not None else None)
    if names is None or len(names) != len(model.categorical):
        raise ValueError("the model has no names of features: give a --frame that has the columns of training alone")
    lists = _lists(model, names, [None] * len(names), frame)
    trained = None if frame is None else frames.rows(frame, names, lists)
    path.write_text(bundle.text(contract.skeleton(model, names, lists, trained)), encoding="utf-8")
    _say(
        f"{path} is to be filled in: name, thresholds, texts of reasons; units, allowed ranges and policies as you know them"
    )


def _agree(given: dict | None, model: Native, frame: pd.DataFrame | None) -> dict:
    """The contract with every list of categories, its features in the model's order."""
    if given is None:
        given = contract.demo(model)
        if given is None:
            raise ValueError("a --contract is needed: --write-contract FILE writes one to be filled in")
        _say(
            "the features are the demo's, and so is the contract. Its texts claim levels (Deep discount): true only "
            "if training had the demo's monotone constraints"
        )
    if model.names is None:
        _say("the model has no names of features: the order of the contract is taken for that of training")
    agreed = contract.match(given, model)
    names = [feature["name"] for feature in agreed["features"]]
    lists = _lists(model, names, [feature.get("categories") for feature in agreed["features"]], frame)
    features = [
        feature | ({} if categories is None else {"categories": categories})
        for feature, categories in zip(agreed["features"], lists, strict=True)
    ]
    return agreed | {"features": features}


def _lists(
    model: Native, names: list[str], given: list[list[str] | None], frame: pd.DataFrame | None
) -> list[list[str] | None]:
    """The categories of each feature, from all who list them."""
    lists: list[list[str] | None] = []
    for i, name in enumerate(names):
        typed = frames.categories(frame, name)
        if not model.categorical[i]:
            if typed is not None:
                raise ValueError(f"column {name} of the frame is a category, the model was trained on a number")
            lists.append(None)
            continue
        sources = {"the model file": model.categories[i], "the frame": typed, "the contract": given[i]}
        lists.append(contract.categories(name, model.codes[i], sources))
    return lists


def _trained(agreed: dict, frame: pd.DataFrame) -> np.ndarray:
    features = agreed["features"]
    trained = frames.rows(
        frame, [feature["name"] for feature in features], [feature.get("categories") for feature in features]
    )
    if found := edges.broken(features, trained):
        _say(f"rows of the frame break the contract, and such orders will be refused: {found}")
    return trained


def _verify(made: Path, output: Path) -> None:
    """Lets riskctl judge the bundle with both engines."""
    if shutil.which("go") is None:
        _say(f"Go is not there, so that nothing judged the bundle yet: riskctl bundle verify {output}")
        return
    _say("riskctl judges the bundle")
    command = ["go", "run", "./cmd/riskctl", "bundle", "verify", made]
    verdict = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(verdict.stdout, end="", file=sys.stderr)
    if verdict.returncode:
        raise ValueError("the bundle does not hold, and was not kept: the check that failed stands above")


if __name__ == "__main__":
    sys.exit(main())
