#!/usr/bin/env bash
# Print the Python to use: `python3`, unless that was built without optimisations (as version
# managers do) and the system has one that was built with them. It serves about a third more.
set -euo pipefail

optimised() {
    "$1" -c '
import sys, sysconfig
built = sysconfig.get_config_var("CONFIG_ARGS") or ""
sys.exit(sys.version_info < (3, 11) or "--enable-optimizations" not in built)' 2>/dev/null
}

for python in python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
    if command -v "$python" >/dev/null && optimised "$python" &&
        { "$python" -c 'import ensurepip' 2>/dev/null || [ "$(id -u)" = 0 ]; }; then
        echo "$python"
        exit 0
    fi
done
echo python3
