"""Which modules are compiled: `tool.tollbridge.compiled` in pyproject.toml, spelled out."""

import tomllib
from pathlib import Path

SOURCES = Path("src")


def compiled_modules(root: Path) -> list[Path]:
    """Their sources, relative to the project's root. A package stands for all modules in it.

    Raises:
        FileNotFoundError: a name is neither a module's nor a package's.
    """
    with (root / "pyproject.toml").open("rb") as file:
        table = tomllib.load(file)["tool"]["tollbridge"]["compiled"]
    named = {path for name in table["modules"] for path in _sources(root, name)}
    return sorted(named - {path for name in table["except"] for path in _sources(root, name)})


def _sources(root: Path, name: str) -> list[Path]:
    place = SOURCES.joinpath(*name.split("."))
    module = place.with_suffix(".py")
    if (root / module).is_file():
        return [module]
    found = [
        path.relative_to(root)
        for path in (root / place).rglob("*.py")
        if path.name != "__init__.py"
    ]
    if not found:
        raise FileNotFoundError(f"tool.tollbridge.compiled: there is no module {name}")
    return found
