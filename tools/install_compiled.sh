#!/usr/bin/env bash
# Install the gateway with its compiled modules into DIRECTORY. Where a machine cannot compile it
# gets the plain modules, which do the same at a higher cost, and is told so.
# Usage: install_compiled.sh PYTHON DIRECTORY
set -euo pipefail
python=$1
directory=$2

reason=$("$python" tools/compile_modules.py 2>&1) || true
if [ -n "$reason" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing python3-dev and gcc, to compile with"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc python3-dev; } \
        </dev/null >&2 || true
    reason=$("$python" tools/compile_modules.py 2>&1) || true
fi
if [ -z "$reason" ]; then
    echo "Compiling the gateway: about a minute, once"
    export TOLLBRIDGE_COMPILE=yes
else
    printf '\n%s\n  LEFT OUT: compiling; a request costs up to half as much CPU again\n  because:  %s\n%s\n\n' \
        "$(printf '=%.0s' {1..76})" "$reason" "$(printf '=%.0s' {1..76})" >&2
    export TOLLBRIDGE_COMPILE=no
fi
rm -rf "$directory"
"$python" -m pip install --quiet --no-deps --no-build-isolation --target "$directory" .
