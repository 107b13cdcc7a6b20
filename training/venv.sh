#!/bin/sh
# Prints the path of a Python that has the locked packages: training/.venv, made anew whenever the lock has changed.
# With a name, as in `venv.sh goldens`, the packages are those of requirements-NAME.lock, in training/.venv-NAME.
set -eu
training=$(cd "$(dirname "$0")" && pwd)
venv=$training/.venv${1:+-$1}
lock=$training/requirements${1:+-$1}.lock

# A version manager's python3.12 may be there and yet refuse to start.
find_python() {
	if python3.12 -c '' 2>/dev/null; then
		command -v python3.12
		return
	fi
	for python in "$(pyenv root 2>/dev/null)"/versions/3.12*/bin/python3.12; do
		if "$python" -c '' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
	echo "$0: Python 3.12 is needed, on PATH as python3.12 or installed by pyenv" >&2
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
