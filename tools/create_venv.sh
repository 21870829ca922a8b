#!/usr/bin/env bash
# Create a virtual environment, and say what to do where that cannot work.
# Usage: create_venv.sh PYTHON DIRECTORY
set -euo pipefail
python=$1
directory=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Tollbridge needs Python 3.11 or newer; $python is older or missing." >&2
    echo "Name another one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
# Debian ships the interpreter without ensurepip, which venv needs.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing python3-venv, which this Python lacks"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv </dev/null
    else
        echo "$python has no ensurepip: install your system's python3-venv package." >&2
        exit 1
    fi
fi
rm -rf "$directory"
"$python" -m venv "$directory"
