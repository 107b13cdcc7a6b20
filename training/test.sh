#!/bin/sh
# Tests the training package, and that the committed bundle still is what the training library says.
set -eu
training=$(cd "$(dirname "$0")" && pwd)
python=$("$training/venv.sh")
cd "$training"
PYTHONDONTWRITEBYTECODE=1 exec "$python" -m pytest "$@"
