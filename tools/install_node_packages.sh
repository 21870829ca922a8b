#!/usr/bin/env bash
# Install the Node SDKs the client tests run. What cannot be installed is left out loudly: the
# reason goes to standard error and to a file, which the tests' skip messages quote.
# Usage: install_node_packages.sh DIRECTORY LEFT_OUT_DIRECTORY
set -euo pipefail
directory=$1
left_out=$2

leave_out() {
    mkdir -p "$left_out"
    echo "$1" >"$left_out/node"
    printf '\n%s\n  LEFT OUT: the Node SDK tests\n  because:  %s\n%s\n\n' \
        "$(printf '=%.0s' {1..76})" "$1" "$(printf '=%.0s' {1..76})" >&2
    exit 0
}

rm -f "$left_out/node"
if ! command -v npm >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Node and npm"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm </dev/null || true
fi
command -v node >/dev/null || leave_out "there is no node; install Node 20 or newer"
command -v npm >/dev/null || leave_out "there is no npm; install it beside Node"
echo "Installing the Node SDKs for the client tests"
(cd "$directory" && npm ci --no-fund --no-audit --loglevel=error </dev/null) ||
    leave_out "npm ci failed; its reason stands above"
touch "$directory/node_modules/.done"
