#!/usr/bin/env bash
# Makes .venv with everything the project needs: TensorFlow for NVIDIA GPUs where one is seen, for CPUs elsewhere.
# Running it again costs nothing while the requirements stay the same. PYTHON=python3.12 chooses an interpreter,
# TF_VARIANT=cpu or gpu overrides the choice of TensorFlow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "setup: $*" >&2; exit 1; }

find_python() {
  local candidate candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.10 to 3.13 found (tried: ${PYTHON:-python3, python3.10 to python3.13}); install one, or name it with PYTHON=..."
}

variant() {
  if [ -n "${TF_VARIANT:-}" ]; then
    echo "$TF_VARIANT"
  elif [[ "$(nvidia-smi -L 2>/dev/null || true)" == *GPU* ]]; then
    echo gpu
  else
    echo cpu
  fi
}

make_venv() {
  "$1" -m venv --clear .venv >/dev/null 2>&1 && return
  # Debian and Ubuntu keep venv and pip in a package of their own.
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  local package
  package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  echo "setup: $1 has no venv module; installing $package"
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq "$package"; } >/dev/null \
    || fail "could not install $package; install it and run this again"
  "$1" -m venv --clear .venv || fail "$1 -m venv failed"
}

flavour=$(variant)
files="requirements.txt requirements-$flavour.txt requirements-dev.txt requirements-onnx.txt requirements-video.txt"
[ -f "requirements-$flavour.txt" ] || fail "TF_VARIANT is cpu or gpu, not '$flavour'"
# shellcheck disable=SC2086
stamp="$flavour $(cat $files | cksum)"
if [ "$(cat .venv/.installed 2>/dev/null)" = "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
  exit 0
fi

python=$(find_python)
echo "setup: installing into .venv ($("$python" --version), TensorFlow for $flavour); this takes a few minutes the first time"
make_venv "$python"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  -r "requirements-$flavour.txt" -r requirements-dev.txt || fail "pip could not install the requirements"
echo "$stamp" > .venv/.installed
