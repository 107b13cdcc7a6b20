#!/usr/bin/env bash
# Measures riskscorer's engine beside its peers and writes docs/benchmarks.md and docs/benchmarks-engine.svg.
# Needs Go, Python 3.12, and a C compiler and Rust for the peers that are built from source; what is missing costs
# those peers alone, and the page says so. Arguments go to driver.py (--help lists them).
set -euo pipefail
engine=$(cd "$(dirname "$0")" && pwd)
root=$engine/../..
venv=$engine/.venv
work=$root/bin/bench-engine
mkdir -p "$work"

# A version manager's python3.12 may be there and yet refuse to start.
find_python() {
	local python
	for python in python3.12 "$(pyenv root 2>/dev/null)"/versions/3.12*/bin/python3.12; do
		if "$python" -c '' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
	echo "$0: Python 3.12 is needed, on PATH as python3.12 or installed by pyenv" >&2
	exit 3
}

# install_source builds one package of requirements-source.lock; why it could not is kept for the page.
install_source() {
	local name=$1 log=$venv/$1.log
	echo "building $name from source" >&2
	if ! grep -A2 "^$name==" "$engine/requirements-source.lock" >"$venv/$name.lock" ||
		! PATH="$venv/bin:$PATH" "$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --require-hashes \
			-r "$venv/$name.lock" >"$log" 2>&1; then
		grep -i error "$log" | head -n 1 >"$venv/$name.failed" || true
		echo "$name does not install here: $log" >&2
	fi
}

locks=("$engine/requirements.lock" "$engine/requirements-source.lock")
if ! cat "${locks[@]}" | cmp -s - "$venv/locks"; then
	echo "installing the peers" >&2
	python=$(find_python)
	rm -rf "$venv"
	"$python" -m venv "$venv"
	"$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r "$engine/requirements.lock" >&2
	install_source fasttreeshap
	install_source treeshap
	# Written last: a venv that was left half made is made again.
	cat "${locks[@]}" >"$venv/locks"
fi

(cd "$engine" && go build -trimpath -o "$work/ours" ./ours)
exec "$venv/bin/python" "$engine/driver.py" --work "$work" --docs "$root/docs" "$@"
