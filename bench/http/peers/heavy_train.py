"""Trains a model that is slow to explain, and writes its bundle: trees too deep for tables of contributions.

Usage: heavy_train.py ORDERS.jsonl OUTPUT TREES, with trendbuy_training in PYTHONPATH.
"""

import sys
from pathlib import Path

from trendbuy_training import bundle, model
from trendbuy_training.orders import read

orders_file, output, trees = sys.argv[1:]
orders = read(Path(orders_file), model.SCHEMA)
half = len(orders.ids) // 2
model.PARAMETERS.update(max_depth=14, min_child_weight=0, reg_lambda=0, subsample=1, colsample_bytree=1)
training, held_back = orders.features[:half], orders.features[half:]
booster = model.train(training, orders.regret[:half], trees=int(trees))
bundle.write(Path(output), booster, training, held_back, orders.regret[half:])
