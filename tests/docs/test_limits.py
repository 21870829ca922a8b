"""Every limit is on its page, with the value that it has."""

import re
from pathlib import Path

import msgspec
import pytest

from tollbridge import units
from tollbridge.config import ServerConfig, UpstreamConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "limits.md").read_text()
ROWS = {
    name: row[2]
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for row in [[cell.strip() for cell in line.strip("| ").split(" | ")]]
    for name in re.findall(r"`([\w.]+)`", row[0])
    if len(row) == 4
}
NO_LIMITS = {"MICRO", "KIB", "MIB"}
NO_LIMIT_SETTINGS = {"server.port", "server.workers"}


def settings(prefix: str, struct: type) -> dict[str, float | str]:
    """Those that are numbers, and bounds that are not there unless somebody sets them."""
    return {
        f"{prefix}.{field.name}": "none" if field.default is None else field.default
        for field in msgspec.structs.fields(struct)
        if type(field.default) in (int, float)
        or (field.default is None and field.name.endswith(("_max", "_s")))
    }


CONSTANTS = {
    name: value
    for name, value in vars(units).items()
    if name.isupper() and type(value) in (int, float) and name not in NO_LIMITS
}
SETTINGS = {
    name: value
    for name, value in (
        settings("server", ServerConfig) | settings("upstreams.NAME", UpstreamConfig)
    ).items()
    if name not in NO_LIMIT_SETTINGS
}


@pytest.mark.parametrize(("name", "value"), [*CONSTANTS.items(), *SETTINGS.items()])
def test_a_limit_is_on_the_page_with_its_value(name: str, value: float | str):
    assert name in PAGE, f"docs/limits.md: {name} is missing; say its unit and what happens there"
    if not name.endswith("_DEFAULT") or name in ROWS:
        assert ROWS[name] == str(value), f"docs/limits.md: {name} is {value}"


def test_the_page_names_nothing_that_is_not_there():
    named = {name for name in ROWS if not name.startswith("upstreams.")}
    assert named <= CONSTANTS.keys() | SETTINGS.keys()
