#!/usr/bin/env bash
# Install the PostgreSQL server that the ledger's tests start themselves. What cannot be installed
# is left out loudly: the reason goes to standard error and to a file, which the tests' skip
# messages quote.
# Usage: install_postgres.sh LEFT_OUT_DIRECTORY
set -euo pipefail
left_out=$1

leave_out() {
    mkdir -p "$left_out"
    echo "$1" >"$left_out/postgres"
    printf '\n%s\n  LEFT OUT: the tests on PostgreSQL\n  because:  %s\n%s\n\n' \
        "$(printf '=%.0s' {1..76})" "$1" "$(printf '=%.0s' {1..76})" >&2
    exit 0
}

have_server() { compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || command -v postgres >/dev/null; }

rm -f "$left_out/postgres"
if ! have_server && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing a PostgreSQL server"
    # Debian would make and start a cluster of its own; the tests make theirs.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        -o Dpkg::Options::=--force-confold postgresql </dev/null || true
fi
have_server || leave_out "there is no PostgreSQL server; install the package postgresql, 13 or newer"
