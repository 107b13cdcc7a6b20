"""The commands: train, oracle, vectors."""

import argparse
import sys
from pathlib import Path

from trendbuy_training import bundle, model, oracle, vectors
from trendbuy_training.orders import read

# The last quarter in time is held back, as a model in service only ever meets the future.
HELD_BACK = 0.25


def train(orders_file: Path, output: Path) -> None:
    """Trains on the first orders of the file and writes the bundle, evaluated on the rest."""
    orders = read(orders_file, model.SCHEMA)
    if orders.regret is None:
        raise ValueError(f"{orders_file}: a line does not tell the outcome")
    cut = int(len(orders.ids) * (1 - HELD_BACK))
    training, held_back = orders.features[:cut], orders.features[cut:]
    booster = model.train(training, orders.regret[:cut])
    bundle.write(output, booster, training, held_back, orders.regret[cut:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trendbuy_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("train", help="train the demo model and write its bundle")
    command.add_argument("--orders", type=Path, required=True, help="made by `riskctl generate --outcomes`")
    command.add_argument("--output", type=Path, required=True, help="directory of the bundle")

    command = commands.add_parser("oracle", help="recompute decisions with the Python library")
    command.add_argument("--bundle", type=Path, required=True)
    command.add_argument("--engine", default="forest/3", help="engine id to put into the prediction ids")
    command.add_argument("--input", type=Path, required=True, help="orders, one JSON event a line")
    command.add_argument("--output", type=Path, required=True, help="decisions, one JSON object a line")

    command = commands.add_parser("vectors", help="write the test vectors of prediction ids")
    command.add_argument("--output", type=Path, required=True)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; a fault in what it is given is one line and exit code 1."""
    args = _parser().parse_args(arguments)
    try:
        match args.command:
            case "train":
                train(args.orders, args.output)
            case "oracle":
                oracle.run(args.bundle, args.engine, args.input, args.output, sys.stderr)
            case "vectors":
                vectors.write(args.output)
    except (OSError, ValueError) as fault:
        print(f"trendbuy_training: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
