"""The C of `wire/_scan.c` as a module, also where the gateway itself is not compiled."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).resolve().parents[1] / "src/tollbridge/wire/_scan.c"
INCLUDE = Path(sysconfig.get_path("include"))
OPTIONS = ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}"]


class NoCompilerError(Exception):
    """There is no C compiler, or no Python.h."""


@cache
def scan_in_c() -> ModuleType:
    """Compiled now, from the source as it is; `CFLAGS` are added (`-fsanitize=address`)."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None or not (INCLUDE / "Python.h").exists():
        raise NoCompilerError(f"there is no {compiler}, or no Python.h in {INCLUDE}")
    added = shlex.split(os.environ.get("CFLAGS", ""))
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "_scan.so"
        command = [compiler, *OPTIONS, *added, str(SOURCE), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}"
        spec = importlib.util.spec_from_file_location("_scan", library)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
