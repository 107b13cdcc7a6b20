#!/bin/sh
# Prints the path of a Python that has locked packages: those of requirements.lock under Python 3.12, or of the
# LOCK and version that are named. The environment is made anew whenever its lock has changed.
# Usage: venv.sh [LOCK VERSION]
set -eu
training=$(cd "$(dirname "$0")" && pwd)
lock=${1:-$training/requirements.lock}
version=${2:-3.12}
venv=$training/.venv
[ $# -eq 0 ] || venv=$venv-$(basename "$lock" .txt)

# A version manager's python3.12 may be there and yet refuse to start.
find_python() {
	if "python$version" -c '' 2>/dev/null; then
		command -v "python$version"
		return
	fi
	for python in "$(pyenv root 2>/dev/null)"/versions/"$version"*/bin/"python$version"; do
		if "$python" -c '' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
	echo "$0: Python $version is needed, on PATH as python$version or installed by pyenv" >&2
	exit 3
}

if ! cmp -s "$lock" "$venv/requirements.lock"; then
	python=$(find_python)
	rm -rf "$venv"
	"$python" -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r "$lock" >&2
	# Copied last: a venv that was left half made is made again.
	cp "$lock" "$venv/requirements.lock"
fi
echo "$venv/bin/python"
