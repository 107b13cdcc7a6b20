#!/bin/sh
# Remakes scoring/forest/xgboost/testdata: each model by the version of XGBoost that its file is to be of, then all
# contributions by the current one. Needs Python 3.11 and 3.12. GOLDENS_OUTPUT names another directory to write to.
set -eu
training=$(cd "$(dirname "$0")" && pwd)
output=${GOLDENS_OUTPUT:-$(dirname "$training")/scoring/forest/xgboost/testdata}

goldens() {
	PYTHONPATH=$training PYTHONDONTWRITEBYTECODE=1 "$1" -W ignore -m trendbuy_training.goldens "$2" "$output"
}

# Before 2.1 XGBoost needs NumPy 1, and that needs Python 3.11.
for version in 1.7.6=3.11 2.0.3=3.11 2.1.4=3.12 3.0.5=3.12 3.1.3=3.12 3.3.0=3.12; do
	echo "XGBoost ${version%=*}" >&2
	python=$("$training/venv.sh" "$training/locks/xgboost-${version%=*}.txt" "${version#*=}")
	goldens "$python" write
done
echo "the current XGBoost" >&2
python=$("$training/venv.sh")
goldens "$python" write
goldens "$python" explain
echo "LightGBM" >&2
python=$("$training/venv.sh" "$training/locks/lightgbm.txt" 3.12)
PYTHONPATH=$training "$python" -m trendbuy_training.goldens_lightgbm "$(dirname "$training")/scoring/forest/lightgbm/testdata"
