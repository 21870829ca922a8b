"""Writes docs/translation.md from the dispositions; `--check` fails if it is out of date."""

import sys
from pathlib import Path

from tollbridge.translate.dispositions import CHAT, MESSAGES, Table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "translation.md"
HEAD = """# What translates to what

Between equal protocols nothing is translated: bytes pass, known or not, save the model's name, a
limit above what is paid for, and thinking that a client did not ask for. Between Messages and Chat
every member has one of these fates:

| | |
| --- | --- |
| exact | the other protocol says the same |
| approximated | the other protocol says nearly the same |
| dropped | a hint; it goes silently |
| reported | it goes too, and the header `x-tollbridge-dropped` names it |
| refused | an error of status 400: an answer without it would be a lie |

With the request header `x-tollbridge-strict: 1`, and always with a key that was made or limited
with `--strict`, what would be reported is refused, in an error that names the fields.

Members that are not listed here are ignored where they are translated, and pass between equal
protocols. They are counted in [the metrics](metrics.md) and logged once for each name as an
`unknown` event. What is looked at: everything that is decoded anyway, which is what is translated,
and fields of a request of which one has to be changed; the fields of a request up to 64 KiB. What
stands inside of known blocks, longer requests, bytes that pass untouched and the first 32 events of
such a stream are looked at in one exchange of 64.

This page is written by `tools/translation_table.py` from the list that the gateway itself reads.
"""
TITLES = {
    "Messages": (
        "A Messages client on a Chat upstream",
        "A Messages upstream's answer to a Chat client",
    ),
    "Chat": (
        "A Chat client on a Messages upstream",
        "A Chat upstream's answer to a Messages client",
    ),
}
ANSWERED = {
    "answer field", "answer block", "choice field", "event", "delta", "stop reason",
    "finish reason", "usage field", "error type",
}  # fmt: skip
"""Kinds that an upstream says; all others are a client's."""


def _rows(kind: str, table: Table) -> str:
    merged: dict[tuple[str, str], list[str]] = {}
    for name, row in table.items():
        merged.setdefault((row.disposition, row.becomes), []).append(f"`{name}`")
    lines = [f"| {kind} | | becomes |", "| --- | --- | --- |"]
    lines += [
        f"| {', '.join(names)} | {disposition} | {becomes} |"
        for (disposition, becomes), names in merged.items()
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for answered in (False, True):
        for protocol, tables in (("Messages", MESSAGES), ("Chat", CHAT)):
            parts.append(f"## {TITLES[protocol][answered]}\n")
            parts += [
                _rows(kind, table)
                for kind, table in tables.items()
                if (kind in ANSWERED) == answered
            ]
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif page() != PAGE.read_text(encoding="utf-8"):
        sys.exit("docs/translation.md is out of date: run python tools/translation_table.py")
