"""Compile the modules that a request passes through, from the plain Python that they are.

mypyc turns typed modules into C extensions that behave like their sources, at about two thirds of
the CPU. Which modules: `tool.tollbridge.compiled` in pyproject.toml. The C that stands beside them
is compiled as well. Run in the project's root:

    python tools/compile_modules.py [DIRECTORY]

The extensions go to DIRECTORY, where their packages are laid out as below `src`; without one it is
only looked whether they could. Exit status 3: this machine cannot compile; the reason is on
standard error.
"""

import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from compiled_modules import SOURCES, compiled_modules

CANNOT = 3
"""Exit status where a compiler or Python's headers are missing."""

C_OPTIONS = ["-O3", "-Wall", "-Wextra"]

GROUP = "tollbridge"
"""Names the library that holds the code of all modules; theirs only lead to it."""


def missing() -> str | None:
    """What a machine lacks to compile; None: nothing."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"the C compiler {compiler} is not installed"
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        return f"Python.h is not in {headers}: install your system's python3-dev package"
    return None


def compile_modules(root: Path, directory: Path) -> None:
    """Write the extensions below `directory`."""
    # These take a while to import, and `missing` is to be told at once.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Extension, setup  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    class OnAllCores(build_ext):
        """Compiles the files of an extension side by side."""

        def build_extensions(self) -> None:
            """Called by setuptools."""
            compile_some = self.compiler.compile

            def compile_all(sources: list[str], **options: object) -> list[str]:
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    made = pool.map(lambda source: compile_some([source], **options), sources)
                    return list(chain.from_iterable(made))

            self.compiler.compile = compile_all
            super().build_extensions()

    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(root)
        extensions = mypycify(
            # A cache of its own: mypy may be checking the same tree at the same time.
            [
                "--cache-dir=.mypy_cache/compiled",
                *(str(path) for path in compiled_modules(root)),
            ],
            opt_level="2",
            debug_level="0",
            multi_file=True,  # which is also quicker to compile
            group_name=GROUP,
            target_dir=scratch,
        )
        for source in (root / SOURCES).rglob("*.c"):
            name = ".".join(source.relative_to(root / SOURCES).with_suffix("").parts)
            extensions.append(Extension(name, [str(source)], extra_compile_args=C_OPTIONS))
        os.chdir(scratch)  # setuptools reads the pyproject.toml that it stands beside
        setup(
            name=GROUP,
            ext_modules=extensions,
            cmdclass={"build_ext": OnAllCores},
            script_args=[
                "--quiet",
                "build_ext",
                f"--build-lib={directory}",
                "--build-temp=objects",
            ],
        )


if __name__ == "__main__":
    lacking = missing()
    if lacking is not None:
        sys.stderr.write(f"{lacking}\n")
        sys.exit(CANNOT)
    for directory in sys.argv[1:]:
        compile_modules(Path.cwd(), Path(directory).resolve())
