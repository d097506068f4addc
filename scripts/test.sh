#!/usr/bin/env bash
# Runs all tests: bash scripts/test.sh [pytest arguments]
# Two test files run in parallel (-n 2), because most of the time goes into importing TensorFlow,
# which uses one core. -n 0 runs one test at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
