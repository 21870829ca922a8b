#!/usr/bin/env bash
# Print the Python to use: `python3`, unless a version manager built it without optimisations and
# the system has one of its own, which distributions build with them: it serves a quarter more.
set -euo pipefail

check() { "$1" -c "$2" 2>/dev/null; }

plain='import sys, sysconfig
built = sysconfig.get_config_var("CONFIG_ARGS") or ""
sys.exit(sys.executable.startswith("/usr/bin/") or "--enable-optimizations" in built)'
new='import sys; sys.exit(sys.version_info < (3, 11))'

if check python3 "$plain" && check /usr/bin/python3 "$new" &&
    { check /usr/bin/python3 'import ensurepip' || [ "$(id -u)" = 0 ]; }; then
    echo /usr/bin/python3
else
    echo python3
fi
