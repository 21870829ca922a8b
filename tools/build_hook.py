"""What hatchling does besides packing files: a wheel has the compiled modules in it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CANNOT = 3
"""Exit status of `compile_modules.py` where a compiler or Python's headers are missing."""


class CompileHook(BuildHookInterface[Any]):
    """Compiles for a wheel, not for an editable install, where the sources are to be edited.

    TOLLBRIDGE_COMPILE=no leaves it out, =yes fails where a machine cannot compile; otherwise such a
    machine gets the plain modules, which do the same at a higher cost, and is told so.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs."""
        wanted = os.environ.get("TOLLBRIDGE_COMPILE", "")
        if version == "editable" or wanted == "no":
            return
        self._scratch = tempfile.TemporaryDirectory()
        out = Path(self._scratch.name)
        command = [sys.executable, str(Path(self.root) / "tools" / "compile_modules.py"), str(out)]
        done = subprocess.run(  # noqa: S603 - what it runs is our own
            command, cwd=self.root, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode == CANNOT and wanted != "yes":
            self.app.display_warning(f"Not compiled: {done.stderr.strip()}")
            return
        if done.returncode:
            raise RuntimeError(f"compiling failed:\n{done.stderr}")
        build_data["infer_tag"] = True
        build_data["pure_python"] = False
        for library in out.rglob("*.so"):
            build_data["force_include"][str(library)] = str(library.relative_to(out))

    def finalize(self, *_of_the_wheel: object) -> None:
        """Called by hatchling after it has packed."""
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()
