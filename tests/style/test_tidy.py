"""What ruff and mypy do not see: sizes, names, namesake tests, words that do not belong here.

Every message gives the rule and the remedy.
"""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tollbridge"
CODE_FOLDERS = ("src", "tests", "bench", "tools", "fuzz")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
VAGUE_NAMES = {"utils", "helpers", "common", "base", "handler", "handlers", "manager", "misc"}

WITHOUT_NAMESAKE = {"__init__.py", "__main__.py", "ports.py"}
"""`__init__` re-exports, `__main__` is run by the end-to-end tests, ports are types for mypy."""

MIRRORED = {
    "messages": "one vocabulary of two",
    "chat": "one vocabulary of two",
    "cli": "a command's module bears the command's name",
    "demo": "a whole upstream of its own, behind one door",
}
"""Packages whose modules may bear the name of a module elsewhere, each with the reason."""

SHARED_NAMES = {
    "connection": "server/connection is a client's, upstream/connection is a model server's",
    "relay": "app/relay moves bytes to the client, translate/relay turns events; one is the other's",
}
"""Module names that stand twice outside those packages, each with the reason."""

# Words are written in two pieces here, so that this file passes its own test.
BANNED = {
    r"(?:registry\.npmjs|files\.pythonhosted|py" + r"pi\.org|registry\.yarnpkg)": (
        "names a package registry: lock files and docs leave that to the reader's own settings"
    ),
    r"(?<![\w.])/(?:home|Us" + r"ers|root|work)/\w": (
        "is an absolute path of one machine: use a relative path, a variable or /srv as example"
    ),
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b": (
        "is unfinished work: finish it, or write down the limitation as a sentence in the docs"
    ),
}
C_FUNCTION = re.compile(r"^\w[^\n]*\n(\w+)\([^;{]*\)\n\{\n.*?^\}", re.MULTILINE | re.DOTALL)
"""Its type, its name and its braces stand at the beginning of lines."""
BINARY_SUFFIXES = {".png", ".ico", ".gguf", ".woff2", ".gz"}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project: what git tracks, or will track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of the project's files is git's")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def python_files() -> Iterator[Path]:
    for path in tracked():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in CODE_FOLDERS:
            yield path


def c_files() -> Iterator[Path]:
    return (path for path in tracked() if path.suffix == ".c")


def modules() -> list[Path]:
    return [path for path in python_files() if path.is_relative_to(PACKAGE)]


def told(problems: list[str]) -> str:
    return "\n" + "\n".join(problems)


def test_files_are_short():
    problems = [
        f"{path.relative_to(ROOT)}: {lines} lines; at most {FILE_LINES_MAX}."
        " Move one of its ideas into a module named after it."
        for path in (*python_files(), *c_files())
        if (lines := path.read_text().count("\n")) > FILE_LINES_MAX
    ]
    assert not problems, told(problems)


def functions() -> Iterator[tuple[Path, int, str, int]]:
    """Each function's file, line, name and length in lines."""
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (
                    path,
                    node.lineno,
                    node.name,
                    (node.end_lineno or node.lineno) - node.lineno + 1,
                )
    for path in c_files():
        source = path.read_text()
        for found in C_FUNCTION.finditer(source):
            line = source.count("\n", 0, found.start()) + 1
            yield path, line, found[1], found[0].count("\n") + 1


def test_functions_are_short():
    problems = [
        f"{path.relative_to(ROOT)}:{line} {name}: {lines} lines; at"
        f" most {FUNCTION_LINES_MAX}. Name its steps and make them functions."
        for path, line, name, lines in functions()
        if lines > FUNCTION_LINES_MAX
    ]
    assert not problems, told(problems)


def test_functions_of_both_languages_are_seen():
    seen = {(path.suffix, name) for path, _, name, _ in functions()}
    assert {(".py", "whole"), (".c", "whole_chunks"), (".c", "PyInit__scan")} <= seen


def test_every_module_has_its_namesake_test():
    problems = []
    for path in modules():
        if path.name in WITHOUT_NAMESAKE:
            continue
        inside = path.relative_to(PACKAGE)
        test = ROOT / "tests" / "unit" / inside.parent / f"test_{inside.name.lstrip('_')}"
        if not test.is_file():
            problems.append(
                f"{path.relative_to(ROOT)}: has no {test.relative_to(ROOT)}."
                " Each module is proved by the test that bears its name: write it."
            )
    assert not problems, told(problems)


def test_every_unit_test_has_its_module():
    problems = []
    for path in python_files():
        unit = ROOT / "tests" / "unit"
        if not path.is_relative_to(unit) or not path.name.startswith("test_"):
            continue
        inside = path.relative_to(unit)
        name = inside.name.removeprefix("test_")
        candidates = (inside.parent / name, inside.parent / f"_{name}")
        if not any((PACKAGE / candidate).is_file() for candidate in candidates):
            problems.append(
                f"{path.relative_to(ROOT)}: there is no src/tollbridge/{candidates[0]}."
                " Rename the test with its module, or move it to the kind of test it is."
            )
    assert not problems, told(problems)


def test_names_say_something():
    problems = [
        f"{path.relative_to(ROOT)}: the name {name!r} says nothing."
        " Name the module after the thing it holds, in the field's own word."
        for path in modules()
        for name in (*path.relative_to(PACKAGE).parent.parts, path.stem)
        if name in VAGUE_NAMES
    ]
    assert not problems, told(problems)


def test_no_two_modules_share_a_name():
    def mirrored(path: Path) -> bool:
        return any(part in MIRRORED for part in path.relative_to(PACKAGE).parent.parts)

    named = [path for path in modules() if path.name not in WITHOUT_NAMESAKE]
    counted = Counter(path.stem for path in named if not mirrored(path))
    problems = [
        f"{name}.py stands {count} times under src/tollbridge. A traceback must name one module:"
        " rename one, or list the name in SHARED_NAMES with the reason."
        for name, count in counted.items()
        if count > 1 and name not in SHARED_NAMES
    ]
    assert not problems, told(problems)


@pytest.mark.parametrize("pattern", BANNED, ids=["registry", "path", "unfinished"])
def test_banned_words(pattern: str):
    problems = []
    for path in tracked():
        if path.suffix in BINARY_SUFFIXES:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := re.search(pattern, line):
                where = f"{path.relative_to(ROOT)}:{number}"
                problems.append(f"{where}: {match[0]!r} {BANNED[pattern]}")
    assert not problems, told(problems)


def test_lock_files_are_complete():
    problems = []
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for pinned in re.split(r"\n(?=\w)", path.read_text()):
            if re.match(r"\w", pinned) and ("==" not in pinned or "--hash=sha256:" not in pinned):
                problems.append(
                    f"{path.relative_to(ROOT)}: {pinned.split()[0]} is not pinned with hashes."
                    " Lock files are made by `make lock`, never by hand."
                )
    assert not problems, told(problems)
