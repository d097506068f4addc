#!/usr/bin/env bash
# The one test command: bash scripts/test.sh [pytest arguments]
# Two files at a time: most of the time goes into loading TensorFlow, which one core does alone. -n 0: one test at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
