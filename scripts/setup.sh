#!/usr/bin/env bash
# Creates .venv with all requirements: TensorFlow for NVIDIA GPUs if nvidia-smi lists one, else for
# CPUs. Does nothing if the installed requirements are up to date.
# Environment: PYTHON=python3.12 selects the interpreter, TF_VARIANT=cpu or gpu the TensorFlow
# package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "setup: $*" >&2; exit 1; }

find_python() {
  local candidate candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.10 to 3.13 found (tried ${PYTHON:-python3, python3.10 to python3.13})." \
    "Install one, or pass its path as PYTHON=..."
}

find_variant() {
  if [ -n "${TF_VARIANT:-}" ]; then
    echo "$TF_VARIANT"
  elif [[ "$(nvidia-smi -L 2>/dev/null || true)" == *GPU* ]]; then
    echo gpu
  else
    echo cpu
  fi
}

create_venv() {
  "$1" -m venv --clear .venv >/dev/null 2>&1 && return
  # Debian and Ubuntu have venv and pip in a separate package.
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo"
  local package
  package="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  echo "setup: $1 has no venv module, installing $package"
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq "$package"; } >/dev/null \
    || fail "cannot install $package. Install it, then run this script again."
  "$1" -m venv --clear .venv || fail "$1 -m venv failed"
}

variant=$(find_variant)
files="requirements.txt requirements-$variant.txt requirements-dev.txt requirements-onnx.txt
  requirements-video.txt"
[ -f "requirements-$variant.txt" ] || fail "TF_VARIANT=$variant is invalid. Pass cpu or gpu."
# shellcheck disable=SC2086
stamp="$variant $(cat $files | cksum)"
if [ "$(cat .venv/.installed 2>/dev/null)" = "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
  exit 0
fi

python=$(find_python)
echo "setup: installing into .venv ($("$python" --version), TensorFlow for $variant)," \
  "which takes some minutes"
create_venv "$python"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  -r "requirements-$variant.txt" -r requirements-dev.txt \
  || fail "pip cannot install the requirements. See the output of pip above."
echo "$stamp" > .venv/.installed
