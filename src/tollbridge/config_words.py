"""What the decoding library says of a file of settings, in words that help who wrote it.

The library names neither the entry of a table (`upstreams[...]`) nor what would be right; both
are found here from the file and from the types. Only called once a file was refused.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import inspect

_LIMITS = {
    "Object contains unknown field": "there is no setting",
    "Object missing required field": "it needs the setting",
    "<= ": "must be at most ",
    ">= ": "must be at least ",
    "> ": "must be more than ",
}
_TYPES = {
    "object": "a table",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
_ENTRY = "[...]"
_BOUND = re.compile(r"Expected `\w+` (<=|>=|>) ")
_KINDS = re.compile(r"Expected `(\w+)(?: \| null)?`, got `(\w+)`")


def explain(message: str, tables: Mapping[str, object], kind: type) -> str:
    """The path of the setting, what is wrong with it, and what would be right.

    Args:
        message: of a `msgspec.ValidationError`.
        tables: the file as it was read.
        kind: the structure that it was to have.
    """
    reason, _, place = message.partition(" - at `$")
    place = place.rstrip("`").removeprefix(".")
    reason = _BOUND.sub(lambda found: _LIMITS[f"{found[1]} "], reason)
    reason = _KINDS.sub(lambda found: f"must be {_named(found[1])}, got {_named(found[2])}", reason)
    for library, ours in _LIMITS.items():
        if reason.startswith(library):
            reason = reason.replace(library, ours, 1)
    choices = _choices(place, kind)
    if choices and reason.startswith(("there is no setting", "Invalid enum value")):
        reason = f"{reason.replace('Invalid enum value', 'there is no')}; there are {choices}"
    where = _with_entry(place, tables, kind)
    return f"{where}: {reason}" if where else reason


def _named(library_type: str) -> str:
    return _TYPES.get(library_type, library_type)


def _with_entry(place: str, tables: Mapping[str, object], kind: type) -> str:
    """`upstreams[...].proxy` as `upstreams.NAME.proxy`: the first entry that fails by itself."""
    table, ellipsis, rest = place.partition(_ENTRY)
    entries = tables.get(table)
    if not ellipsis or not isinstance(entries, dict):
        return place
    for name, entry in entries.items():
        try:
            msgspec.convert({table: {name: entry}}, kind)
        except msgspec.ValidationError:
            shown = name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'
            return f"{table}.{shown}{rest}"
    return place


def _choices(place: str, kind: type) -> str:
    """The settings of the table, or the values of the setting, at a place."""
    nodes = list(_alternatives(inspect.type_info(kind)))
    for step in re.findall(r"\w+|\[\.\.\.\]", place):
        nodes = [inner for node in nodes for inner in _inside(node, step)]
    found: list[str] = []
    for node in nodes:
        if isinstance(node, inspect.StructType):
            found += [field.encode_name for field in node.fields]
        elif isinstance(node, inspect.LiteralType):
            found += [str(value) for value in node.values]
    return ", ".join(found)


def _inside(node: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.StructType):
        for field in node.fields:
            if field.encode_name == step:
                yield from _alternatives(field.type)
    elif isinstance(node, inspect.DictType):
        yield from _alternatives(node.value_type)
    elif isinstance(node, inspect.VarTupleType):
        yield from _alternatives(node.item_type)


def _alternatives(node: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.UnionType):
        for one in node.types:
            yield from _alternatives(one)
    else:
        yield node.type if isinstance(node, inspect.Metadata) else node
