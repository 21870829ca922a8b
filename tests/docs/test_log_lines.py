"""Every member of the log's lines is on its page, with its type."""

import io
import json
import re
from pathlib import Path

import msgspec

from tollbridge.app.ports import Alert
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.telemetry.log_lines import ExchangeLine
from tollbridge.telemetry.logs import LogObserver
from tollbridge.units import EnvId, MicroCredits, Millis, PackId

ALERT = Alert(
    env_id=EnvId("env"), pack_id=PackId("pack"), level=80, at=Millis(0),
    granted=MicroCredits(10), spent=MicroCredits(8), tries=1,
)  # fmt: skip
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
SECTION = PAGE.partition("\n## The log\n")[2].partition("\n## ")[0]
EXCHANGE, OTHERS = SECTION.split("The other lines:")


def rows(table: str) -> list[list[str]]:
    lines = [line.strip("| ") for line in table.splitlines() if line.startswith("| `")]
    return [re.split(r" (?<!\\)\| ", line) for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_line_of_an_exchange():
    told = {
        name: names(cells[1])[0].replace("\\|", "|")
        for cells in rows(EXCHANGE)
        for name in names(cells[0])
    }
    types = {
        int: "int",
        str: "str",
        bool: "bool",
        str | None: "str | None",
        int | None: "int | None",
    }
    fields = msgspec.structs.fields(ExchangeLine)
    assert told == {field.name: types[field.type] for field in fields}


def test_the_other_lines():
    stream = io.StringIO()
    observer = LogObserver(stream, lambda: Millis(0))
    error = GatewayError(ErrorCode.BODY_INVALID, "no")
    observer.attempt_ended("req_1", "lab", error)
    observer.request_refused("req_1", "chat", error)
    observer.unknown("field", "new")
    observer.pack_reached(ALERT)
    observer.trouble("bug", error)
    observer.reloaded([], [])
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = {names(cells[0])[0]: names(cells[1]) for cells in rows(OTHERS)[1:]}
    assert told == {line["event"]: [*line][2:] for line in lines}
