"""Runs riskscorer's engine and its peers on the same models and rows, in turns, and writes docs/benchmarks.md.

Every peer is a child process that holds one model and runs what it is told (peers.py, ours/main.go). All children share one
core, and only one of them works at a time. A round visits every peer, so that a busy moment of the machine touches all of
them alike; the first is the warm-up, which also finds how many calls fill a slice.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

import report
from models import MODELS, Model, make

HERE = Path(__file__).parent
CHECK_ROWS = 512  # whose answers are compared
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "GOMAXPROCS"), "1"
)
CASES = (("score", 1), ("score", 1024), ("score", 65_536), ("explain", 1), ("explain", 256))


@dataclass(frozen=True)
class Peer:
    """One line of the tables. name is what the child knows it by; environment selects a variant."""

    label: str
    name: str
    works: tuple[str, ...]
    go: bool = False
    compiles: bool = False
    environment: dict = field(default_factory=dict)

    @property
    def any_model(self) -> bool:
        """Whether it reads XGBoost's own file, or is given it by riskscorer."""
        return self.go or self.name == "xgboost"


PEERS = (
    Peer("riskscorer", "riskscorer", ("score", "explain"), go=True),
    Peer("riskscorer, pure Go", "riskscorer", ("score", "explain"), go=True, environment={"FOREST_KERNEL": "go"}),
    Peer("leaves", "leaves", ("score",), go=True),
    Peer("XGBoost", "xgboost", ("score", "explain")),
    Peer("LightGBM", "lightgbm", ("score", "explain")),
    Peer("Treelite GTIL", "treelite", ("score",)),
    Peer("TL2cgen", "tl2cgen", ("score",), compiles=True),
    Peer("lleaves", "lleaves", ("score",), compiles=True),
    Peer("ONNX Runtime", "onnxruntime", ("score",)),
    Peer("shap", "shap", ("explain",)),
    Peer("FastTreeSHAP", "fasttreeshap", ("explain",)),
    Peer("treeshap", "treeshap", ("explain",)),
)


class Child:
    """A peer's process with one model loaded."""

    def __init__(self, peer: Peer, folder: Path, work: Path, core: int):
        command = [work / "ours"] if peer.go else [sys.executable, HERE / "peers.py"]
        self.log = (folder / f"{peer.label}.log").open("w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1,
            env=os.environ | ONE_THREAD | peer.environment, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        self.peer, self.folder = peer, folder
        try:
            self.version = self.ask(f"load {peer.name} {folder}").removeprefix("ok ")
        except RuntimeError:
            self.close()
            raise

    def ask(self, line: str) -> str:
        try:
            self.process.stdin.write(line + "\n")
            answer = self.process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if answer.startswith("fail ") or not answer:
            raise RuntimeError(answer.removeprefix("fail ") or f"ended with code {self.process.wait()}")
        return answer

    def run(self, work: str, batch: int, calls: int) -> float:
        """Returns nanoseconds of processor time a row."""
        return float(self.ask(f"run {work} {batch} {calls}"))

    def answers(self, work: str) -> np.ndarray:
        """Returns the answers for the first rows, a line each."""
        file = self.folder / "answers.f64"
        self.ask(f"answer {work} {CHECK_ROWS} {file}")
        return np.fromfile(file, "<f8").reshape(CHECK_ROWS, -1)

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@dataclass
class Results:
    """What was measured: by model and peer, then by case."""

    nanoseconds: dict = field(default_factory=dict)  # (model, label, work, batch) -> medians a row
    differences: dict = field(default_factory=dict)  # (model, label, work) -> largest difference from XGBoost
    versions: dict = field(default_factory=dict)  # label -> version
    failures: dict = field(default_factory=dict)  # (label, model, work or "") -> reason


def measure(model: Model, peers: list[Peer], folder: Path, work: Path, arguments, results: Results) -> None:
    children: dict[str, Child] = {}
    try:
        for peer in peers:
            if not (model.convertible or peer.any_model):
                continue
            if peer.compiles and not model.compiled:
                results.failures[peer.label, model.name, ""] = "left out, as it compiles this model for minutes"
                continue
            say(f"{model.name}: loading {peer.label}")
            try:
                children[peer.label] = Child(peer, folder, work, arguments.core)
                results.versions[peer.label] = children[peer.label].version
            except RuntimeError as error:
                results.failures[peer.label, model.name, ""] = why(peer, str(error))
        for kind in ("score", "explain"):
            able = [child for child in children.values() if kind in child.peer.works]
            able = compare(model, kind, able, results)
            for batch in (batch for work, batch in CASES if work == kind):
                take_turns(model, kind, batch, able, arguments, results)
    finally:
        for child in children.values():
            child.close()


def why(peer: Peer, reason: str) -> str:
    """Returns why a peer could not be installed, if that is why it failed."""
    installing = Path(sys.prefix) / f"{peer.name}.failed"
    return f"not installed: {installing.read_text().strip()}" if installing.exists() else reason


def compare(model: Model, kind: str, able: list[Child], results: Results) -> list[Child]:
    """Notes how far each peer's answers are from XGBoost's, and returns the peers that answered."""
    answers = {}
    for child in able:
        try:
            answers[child.peer.label] = child.answers(kind)
        except (RuntimeError, ValueError) as error:
            results.failures[child.peer.label, model.name, kind] = str(error)
    if "XGBoost" not in answers:
        raise SystemExit("XGBoost does not answer, so nothing can be compared: " + str(results.failures))
    want = answers["XGBoost"]
    for label, got in answers.items():
        if want.shape != got.shape:
            results.failures[label, model.name, kind] = f"answers of shape {got.shape}"
            continue
        scale = np.abs(want).sum(axis=1, keepdims=True) if kind == "explain" else 1
        results.differences[model.name, label, kind] = float(np.max(np.abs(got - want) / scale))
    return [child for child in able if (model.name, child.peer.label, kind) in results.differences]


def take_turns(model: Model, kind: str, batch: int, able: list[Child], arguments, results: Results) -> None:
    calls: dict[str, int] = {}
    taken: dict[str, list[float]] = {child.peer.label: [] for child in able}
    for turn in range(arguments.rounds + 1):
        for child in list(able):
            label = child.peer.label
            say(f"{model.name}: {kind}, {batch} rows a call, round {turn} of {arguments.rounds}: {label}")
            try:
                if turn == 0:
                    once = child.run(kind, batch, max(1, 64 // batch)) * batch
                    calls[label] = max(1, round(arguments.slice * 1e9 / once))
                else:
                    taken[label].append(child.run(kind, batch, calls[label]))
            except RuntimeError as error:
                results.failures[label, model.name, kind] = str(error)
                able.remove(child)
    for child in able:
        results.nanoseconds[model.name, child.peer.label, kind, batch] = median(taken[child.peer.label])


def say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif "round" not in text or "round 1 " in text:
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for models and logs")
    parser.add_argument("--docs", type=Path, required=True, help="folder of benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that the medians are taken of (default 5)")
    parser.add_argument("--slice", type=float, default=0.25, help="seconds a peer and round (default 0.25), or one call")
    last = max(os.sched_getaffinity(0))
    parser.add_argument("--core", type=int, default=last, help="core that the children share (default the last)")
    every = "".join(model.name for model in MODELS)
    parser.add_argument("--models", default=every, help=f"models to measure (default {every})")
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peers", default=",".join(dict.fromkeys(names)), help="engines to measure, with commas (default all)")
    arguments = parser.parse_args()
    arguments.docs.mkdir(parents=True, exist_ok=True)  # so that a run of minutes does not end without its page
    peers = [peer for peer in PEERS if peer.name in arguments.peers.split(",")]
    if arguments.rounds < 1 or arguments.slice <= 0 or not set(arguments.models) <= set(every):
        parser.error(f"--rounds and --slice must be positive, --models some of {every}")
    if not {"riskscorer", "xgboost"} <= set(arguments.peers.split(",")) <= set(names):
        parser.error(f"--peers must be some of {', '.join(dict.fromkeys(names))}, riskscorer and xgboost among them")
    results, load = Results(), os.getloadavg()[0]
    models = [model for model in MODELS if model.name in arguments.models]
    for model in models:
        say(f"{model.name}: making {model.text}")
        folder = arguments.work.resolve() / model.name
        make(model, folder)
        measure(model, peers, folder, arguments.work, arguments, results)
    settings = {name: getattr(arguments, name) for name in ("rounds", "slice", "models", "peers")}
    changed = " ".join(f"--{name} {value}" for name, value in settings.items() if value != parser.get_default(name))
    command = f"make bench-engine ARGS='{changed}'" if changed else "make bench-engine"
    report.write(arguments.docs, command, models, peers, CASES, arguments, load, results)
    say("")
    print(f"\nwritten: {arguments.docs.resolve()}/benchmarks.md, benchmarks-engine.svg", file=sys.stderr)


if __name__ == "__main__":
    main()
