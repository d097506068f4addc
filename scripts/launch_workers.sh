#!/usr/bin/env bash
# Installs the requirements and starts deployment/launch_workers.py, which describes its arguments.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/setup.sh"
exec "$root/.venv/bin/python" "$root/deployment/launch_workers.py" "$@"
