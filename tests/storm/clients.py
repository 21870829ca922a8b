"""Clients that ask, hang up, meet failures and refusals, and remember what they saw."""

import asyncio
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field

CHUNKS = 15
PACE_S = 0.1
OUTPUT = re.compile(rb'"output_tokens":\s*(\d+)')
REQUEST_ID = re.compile(rb"^request-id: (\S+)", re.MULTILINE | re.IGNORECASE)
STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
PLAN = (
    ("stream", 55),
    ("whole", 15),
    ("hang-up", 15),
    ("@cut_after=5", 5),
    ("@error_after=5", 5),
    ("@error=529", 5),
)
"""What a request is for, and its weight."""


@dataclass(frozen=True)
class Target:
    """One environment's address and key at one gateway."""

    port: int
    env_id: str
    key: str


@dataclass
class Notes:
    """What all clients saw together."""

    finished: dict[str, int] = field(default_factory=dict)
    """Of each request that came to its proper end, the output tokens it reported."""
    seen: Counter[str] = field(default_factory=Counter)


async def client(number: int, targets: list[Target], notes: Notes, stop: asyncio.Event) -> None:
    """One client, until it is told to stop."""
    dice = random.Random(number)
    while not stop.is_set():
        purpose = dice.choices([name for name, _ in PLAN], [weight for _, weight in PLAN])[0]
        try:
            await asyncio.wait_for(_ask(dice, purpose, dice.choice(targets), notes), 30)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            notes.seen["broken off"] += 1
            await asyncio.sleep(0.2)


async def _ask(dice: random.Random, purpose: str, target: Target, notes: Notes) -> None:
    directive = purpose if purpose.startswith("@") else ""
    is_stream = purpose != "whole"
    pace = f"@pace={PACE_S}" if is_stream else ""
    body = json.dumps(
        {
            "model": dice.choice(["messages", "chat"]),
            "max_tokens": 64,
            "stream": is_stream,
            "messages": [
                {"role": "user", "content": f"@chunks={CHUNKS} {pace} {directive} Count for me"}
            ],
        }
    ).encode()
    head = (
        "POST /v1/ai/cloudbase/v1/messages HTTP/1.1\r\nhost: storm\r\nconnection: close\r\n"
        f"content-type: application/json\r\nauthorization: Bearer {target.key}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        writer.write(head + body)
        limit = dice.randrange(200, 4_000) if purpose == "hang-up" else 1 << 30
        answer = b""
        while len(answer) < limit and (data := await reader.read(65_536)):
            answer += data
        await _note(answer, is_stream, len(answer) >= limit, notes)
    finally:
        writer.close()


async def _note(answer: bytes, is_stream: bool, hung_up: bool, notes: Notes) -> None:
    status = STATUS.match(answer)
    if status is None:
        notes.seen["no answer"] += 1
        await asyncio.sleep(0.2)
    elif status[1] != b"200":
        notes.seen[f"status {status[1].decode()}"] += 1
        await asyncio.sleep(0.2)
    elif hung_up:
        notes.seen["hung up"] += 1
    else:
        has_end = b"event: message_stop" in answer if is_stream else b'"stop_reason"' in answer
        request_id = REQUEST_ID.search(answer)
        assert request_id is not None, answer[:300]
        counts = OUTPUT.findall(answer)
        if has_end and b"event: error" not in answer:
            notes.finished[request_id[1].decode()] = int(counts[-1])
            notes.seen["finished"] += 1
        else:
            notes.seen["failed midway"] += 1
