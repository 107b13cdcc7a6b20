#!/bin/sh
# Makes a bundle of any pickled, joblib or native model of XGBoost or LightGBM: --help says how.
set -eu
training=$(cd "$(dirname "$0")" && pwd)
python=$("$training/venv.sh")
PYTHONPATH=$training PYTHONDONTWRITEBYTECODE=1 exec "$python" -W ignore -m trendbuy_training.export "$@"
