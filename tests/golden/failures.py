"""What an upstream's failure becomes for a client of either protocol: the rows of C.7.

`failures.txt` holds a block per row: a title, the upstream's answer (`>>`), and what a Messages and
a Chat client get (`<<`). `python -m tests.golden.failures` writes the answers anew for review.
"""

import json
from pathlib import Path
from typing import NamedTuple

from tollbridge.config import Protocol
from tollbridge.translate.failures import error_body, error_status, failure_from_upstream

PAGE = Path(__file__).with_name("failures.txt")
CLIENTS: tuple[Protocol, ...] = ("messages", "chat")


class Row(NamedTuple):
    """One block; `upstream` is `protocol status headers body`, as it stands in the file."""

    title: str
    upstream: str
    clients: tuple[str, ...]


def read() -> list[Row]:
    """The blocks of the page."""
    rows = []
    for block in PAGE.read_text(encoding="utf-8").strip().split("\n\n"):
        title, upstream, *clients = block.split("\n")
        rows.append(Row(title.removeprefix("== "), upstream.removeprefix(">> "), tuple(clients)))
    return rows


def answers(upstream: str) -> tuple[str, ...]:
    """What the clients get for an upstream's answer, as lines of the page."""
    protocol, status, headers, body = upstream.split(" ", 3)
    assert protocol in CLIENTS
    body = "" if body == "(nothing)" else body
    failure = failure_from_upstream(
        "chat" if protocol == "chat" else "messages",
        int(status),
        json.loads(headers),
        body.encode(),
    )
    lines = []
    for client in CLIENTS:
        told = json.loads(error_body(client, failure, "req_1"))
        retry = failure.problem.retryable
        steer = {"x-should-retry": retry, "retry-after": failure.retry_after_s}
        said = json.dumps({name: value for name, value in steer.items() if value is not None})
        lines.append(f"<< {client} {error_status(client, failure)} {said} {json.dumps(told)}")
    return tuple(lines)


if __name__ == "__main__":
    PAGE.write_text(
        "\n\n".join(
            "\n".join([f"== {row.title}", f">> {row.upstream}", *answers(row.upstream)])
            for row in read()
        )
        + "\n",
        encoding="utf-8",
    )
