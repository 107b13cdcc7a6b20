"""The environment of the library version that wrote a model: its lock, its Python, and what runs in it."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

TRAINING = Path(__file__).resolve().parents[1]

# The distributions that hold a library's package.
DISTRIBUTIONS = {"xgboost": ("xgboost-cpu", "xgboost"), "lightgbm": ("lightgbm",)}


class DependencyError(Exception):
    """Something outside of the input failed: Python is not there, or its packages cannot be installed."""


def python(library: str, version: str) -> str:
    """Returns the Python that has that version of the library; makes its environment if it is not there yet."""
    if version == _installed(library):
        return sys.executable
    name = f"{library}-{version}"
    source, lock = (TRAINING / "locks" / f"{name}{suffix}" for suffix in (".in", ".txt"))
    if not lock.exists():
        raise ValueError(_how_to_lock(library, version))
    first = source.read_text(encoding="utf-8").splitlines()[0]
    print(f"export: the environment of {library} {version} (the first time this installs packages)", file=sys.stderr)
    command = [TRAINING / "venv.sh", lock, first.removeprefix("# Python ").strip()]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise DependencyError(f"the environment of {lock.relative_to(TRAINING)} could not be made")
    return made.stdout.strip()


def _installed(library: str) -> str:
    for name in DISTRIBUTIONS[library]:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    raise DependencyError(f"{library} is not installed: run training/export.sh")


def _how_to_lock(library: str, version: str) -> str:
    """The lines of a lock that is not there, with what is known of the versions' needs."""
    old = library == "xgboost" and tuple(int(part) for part in version.split(".")[:2]) < (2, 1)
    package = "xgboost-cpu" if library == "xgboost" and not old else library
    lines = ["# Python 3.11" if old else "# Python 3.12", f"{package}=={version}", "pandas<3", "scikit-learn<1.7"]
    lines += ["numpy<2"] if old else []
    quoted = " ".join(f"'{line}'" for line in lines)
    return (
        f"it was written by {library} {version}, whose environment is not locked yet. Lock it, then run this again:\n"
        f"  printf '%s\\n' {quoted} > training/locks/{library}-{version}.in\n"
        f"  training/lock.sh {library}-{version}"
    )


def run(interpreter: str, *arguments: object) -> None:
    """Runs trendbuy_training.writer; what it says of the model on standard error becomes a ValueError."""
    variables = os.environ | {"PYTHONPATH": str(TRAINING), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [interpreter, "-W", "ignore", "-m", "trendbuy_training.writer", *map(str, arguments)]
    done = subprocess.run(command, env=variables, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"reading the model ended with code {done.returncode}"]
        raise ValueError(said[-1])
