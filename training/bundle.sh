#!/bin/sh
# Remakes models/trendbuy_xgb_v1.0.0 from nothing but this repository, byte for byte: orders, training, bundle.
# BUNDLE_OUTPUT names another directory to write to.
set -eu
training=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$training")
output=${BUNDLE_OUTPUT:-$root/models/trendbuy_xgb_v1.0.0}
python=$("$training/venv.sh")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

echo "generating orders" >&2
(cd "$root" && go run ./cmd/riskctl generate --orders 80000 --seed 1 --outcomes --output "$work/orders.jsonl")
echo "training" >&2
PYTHONPATH=$training "$python" -m trendbuy_training train --orders "$work/orders.jsonl" --output "$work/bundle"

# Replaced only when the new one is whole.
mkdir -p "$(dirname "$output")"
rm -rf "$output"
mv "$work/bundle" "$output"
(cd "$output" && sha256sum --check --quiet SHA256SUMS && sha256sum SHA256SUMS)
