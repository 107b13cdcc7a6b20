#!/bin/sh
# Pins the packages of locks/NAME.in, and all that they need, by their hashes: locks/NAME.txt. The first line of the .in
# file names the Python that they run under, "# Python 3.11". Without NAME it renews requirements.lock of pyproject.toml.
# Usage: lock.sh [NAME]
set -eu
training=$(cd "$(dirname "$0")" && pwd)
name=${1:-}
version=3.12
if [ -n "$name" ]; then
	version=$(sed -n '1s/^# Python //p' "$training/locks/$name.in")
	[ -n "$version" ] || {
		echo "$0: the first line of locks/$name.in must name the Python, as in: # Python 3.11" >&2
		exit 2
	}
fi

# The tool runs under the Python that it pins for: wheels differ between versions.
python=$("$training/venv.sh" "$training/locks/pip-tools-$version.txt" "$version")
set -- --quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --strip-extras
if [ -n "$name" ]; then
	cd "$training/locks"
	exec "$python" -m piptools compile "$@" --output-file "$name.txt" "$name.in"
fi
cd "$training"
exec "$python" -m piptools compile "$@" --extra test --extra export --output-file requirements.lock pyproject.toml
