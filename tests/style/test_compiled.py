"""What is compiled keeps to what mypyc can do; the same source runs uncompiled."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.compiled_modules import SOURCES, compiled_modules

ROOT = Path(__file__).resolve().parents[2]
COMPILED = compiled_modules(ROOT)


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES).with_suffix("").parts)


def imported(module: ast.Module, names: set[str]) -> set[str]:
    """What is imported from modules of these names."""
    return {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module in names
        for alias in node.names
    }


def bases(module: ast.Module) -> Iterator[tuple[ast.ClassDef, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                named = base.value if isinstance(base, ast.Subscript) else base
                yield node, ast.unparse(named)


def test_something_is_compiled():
    assert Path("src/tollbridge/app/exchange.py") in COMPILED
    assert Path("src/tollbridge/app/ports.py") not in COMPILED


def test_no_compiled_module_declares_a_struct():
    problems = []
    for path in COMPILED:
        module = tree(path)
        structs = {"msgspec.Struct", *(imported(module, {"msgspec"}) & {"Struct"})}
        problems += [
            f"{path}:{node.lineno} {node.name}: a Struct does not survive being compiled. Move it"
            " to a module of its own, and list that under tool.tollbridge.compiled.except."
            for node, base in bases(module)
            if base in structs
        ]
    assert not problems, "\n" + "\n".join(problems)


def test_no_compiled_module_deletes_attributes():
    problems = [
        f"{path}:{node.lineno}: a compiled object keeps its attributes. Assign None."
        for path in COMPILED
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Delete)
        if any(isinstance(target, ast.Attribute) for target in node.targets)
    ]
    assert not problems, "\n" + "\n".join(problems)


WAITS = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)


def waits_while_handling(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.Try):
            handling = [*(part for way in node.handlers for part in way.body), *node.finalbody]
            yield from (
                part for top in handling for part in ast.walk(top) if isinstance(part, WAITS)
            )


def test_no_compiled_coroutine_waits_while_it_handles_an_error():
    problems = [
        f"{path}:{node.lineno}: others run meanwhile, and mypyc would let them see the error as"
        " theirs, and perhaps raise theirs again here. Note it, and wait after the `try`."
        for path in COMPILED
        for node in waits_while_handling(tree(path))
    ]
    assert not problems, "\n" + "\n".join(problems)


def test_no_other_class_inherits_from_a_compiled_one():
    problems = []
    names = {dotted(path) for path in COMPILED}
    for folder in ("src", "tests", "bench", "fuzz"):
        for absolute in (ROOT / folder).rglob("*.py"):
            path = absolute.relative_to(ROOT)
            if path in COMPILED or "node_modules" in path.parts:
                continue
            module = tree(path)
            compiled = imported(module, names)
            problems += [
                f"{path}:{node.lineno} {node.name}: Python cannot inherit from {base} when that is"
                " compiled. Wrap one, or satisfy the protocol that it is used by."
                for node, base in bases(module)
                if base in compiled
            ]
    assert not problems, "\n" + "\n".join(problems)
