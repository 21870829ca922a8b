"""Upstreams that fall silent, answer too early, or say far more than anybody can take."""

import asyncio
from pathlib import Path

import pytest
from tests.chaos.clients import TIMEOUT_S, Seen, Talk, ask, prompt
from tests.chaos.rig import PROTOCOLS, Handle, canned, live, reset, rig_running, until
from tests.fakes.http_server import Request

from tollbridge.units import MIB, RESPONSE_BYTES_MAX

TEXT = "One two three four"
PAIRS = [(client, model) for client in PROTOCOLS for model in PROTOCOLS]

pytestmark = pytest.mark.slow


# Half-open: the upstream says nothing more, and does not close.


class Silent:
    """Says all of its answer but the last pieces, or none of it."""

    def __init__(self) -> None:
        self.left = 0
        """Connections that the gateway has given up."""

    def handle(self, protocol: str) -> Handle:
        async def handle(
            request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if b"never" not in request.body:
                streams = b'"stream":true' in request.body.replace(b" ", b"")
                head, pieces = canned(protocol, TEXT, stream=streams)
                kept = pieces[:-4] if streams else [pieces[0][:-9]]
                writer.write(head + b"".join(kept))
            assert await reader.read() == b""
            self.left += 1

        return handle


def test_an_upstream_that_falls_silent(tmp_path: Path) -> None:
    live(_silence(tmp_path))


async def _silence(folder: Path) -> None:
    silent = Silent()
    handles = {protocol: silent.handle(protocol) for protocol in PROTOCOLS}
    deadlines = "first_byte_timeout_s = 1\nidle_timeout_s = 1"
    async with rig_running(folder, handles, upstream=deadlines) as rig:
        before = rig.descriptors()
        asked = [
            (client, model, stream, how)
            for client, model in PAIRS
            for stream in (True, False)
            for how in ("never", "half")
        ]
        answers = await asyncio.gather(
            *(ask(rig.gateway, client, prompt(how, model, stream=stream))
              for client, model, stream, how in asked)
        )  # fmt: skip
        await until(lambda: silent.left == len(asked), "the upstream is told that nobody waits")
        records = await rig.audited()
        await rig.serves()
        await until(lambda: rig.descriptors() <= before + 8, "descriptors are given back")
    for (_, _, stream, how), seen in zip(asked, answers, strict=True):
        record = records[seen.request_id]
        if stream and how == "half":
            assert seen.ending == "error"
            assert TEXT.startswith(seen.text)
            assert seen.text
            assert record.outcome == "failed_midway"
            assert record.usage.output > 0
        else:
            assert (seen.ending, seen.status) == ("refused", 504)
            assert (record.outcome, record.amount) == ("failed_early", 0)


HEDGED = """
[models.hedged]
targets = [{ upstream = "messages" }, { upstream = "chat" }]
hedge_ms = 50
on_by_default = true
"""


def test_an_upstream_that_never_answers_where_another_is_asked_too(tmp_path: Path) -> None:
    live(_hedge(tmp_path))


async def _hedge(folder: Path) -> None:
    silent = Silent()

    async def chat(
        request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head, pieces = canned(
            "chat", TEXT, stream=b'"stream":true' in request.body.replace(b" ", b"")
        )
        writer.write(head + b"".join(pieces))
        return True

    handles: dict[str, Handle] = {"messages": silent.handle("messages"), "chat": chat}
    asked = [(client, stream) for client in PROTOCOLS for stream in (True, False)]
    async with rig_running(folder, handles, models=HEDGED) as rig:
        answers = await asyncio.gather(
            *(ask(rig.gateway, client, prompt("never", "hedged", stream=stream))
              for client, stream in asked)
        )  # fmt: skip
        await until(lambda: silent.left == len(asked), "who is too late is told that nobody waits")
        records = await rig.audited()
        await rig.serves()
    for seen in answers:
        assert (seen.ending, seen.text) == ("whole", TEXT)
        record = records[seen.request_id]
        assert (record.outcome, record.provenance) == ("finished", "reported")
        assert record.usage.output == seen.tokens > 0


# Early: it answers while the gateway is still sending.

BODY_CHARS = 6_000_000
"""More than the buffers between two processes hold."""
REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
NO_THANKS = b'{"type":"error","error":{"type":"invalid_request_error","message":"no thanks"}}'


def early(protocol: str, how: str) -> Handle:
    """Answers without having read a byte of the body."""

    async def handle(
        request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if how == "refuses":
            writer.write(REFUSAL % (len(NO_THANKS), NO_THANKS))
        else:
            head, pieces = canned(protocol, TEXT)
            writer.write(head + b"".join(pieces))
        await writer.drain()
        if how == "slams":
            reset(writer)
        await reader.readexactly(int(request.headers["content-length"]))

    return handle


@pytest.mark.parametrize("how", ["answers", "refuses", "slams"])
def test_an_upstream_that_does_not_wait_for_the_body(tmp_path: Path, how: str) -> None:
    live(_early(tmp_path, how))


async def _early(folder: Path, how: str) -> None:
    handles = {protocol: early(protocol, how) for protocol in PROTOCOLS}
    async with rig_running(folder, handles, read_body=False) as rig:
        long = "x" * BODY_CHARS
        answers = await asyncio.gather(
            *(ask(rig.gateway, client, prompt(long, model)) for client, model in PAIRS)
        )
        records = await rig.audited()
        await rig.serves()
    for seen in answers:
        record = records[seen.request_id]
        if how == "answers":
            assert (seen.ending, seen.text) == ("whole", TEXT)
            assert record.provenance == "reported"
        elif how == "refuses":
            assert (seen.ending, seen.status, record.amount) == ("refused", 400, 0)
        elif seen.ending == "refused":  # the reset took the answer along
            assert (seen.status, record.amount) == (502, 0)
        else:
            assert TEXT.startswith(seen.text)
            assert (seen.ending == "whole") == (record.outcome == "finished")
            assert (record.amount > 0) == bool(seen.text)


# Floods.

FLOODED = 16
STREAM_BYTES_MAX = 2 * MIB
"""What a stream may cost whose client reads nothing: unread body, unsent answer, and slack."""


class Flood:
    """Sends pieces of a kind for as long as the gateway takes them."""

    def __init__(self) -> None:
        self.sent = 0
        self.left = 0

    def handle(self, protocol: str) -> Handle:
        async def handle(
            request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            if b"one-shot" in request.body:
                head, (body,) = canned(protocol, TEXT, stream=False)
                size = b"content-length: %d" % len(body)
                head, piece = head.replace(size, b"content-length: 999999999"), b"x" * 65_536
            else:
                head, pieces = canned(protocol, TEXT)
                deltas = [piece for piece in pieces if b"two" in piece]
                head, piece = head + b"".join(pieces[:3]), b"".join(deltas) * 100
            if b"one event" in request.body:
                piece = b"10000\r\n" + b"y" * 65_536 + b"\r\n"
            try:
                writer.write(head)
                while True:
                    writer.write(piece)
                    await writer.drain()
                    self.sent += len(piece)
            finally:
                self.left += 1

        return handle

    async def stalled(self) -> None:
        """Until nothing of it has been taken for a while."""
        before = -1
        while self.sent != before:
            before = self.sent
            await asyncio.sleep(0.7)


def test_a_flood_that_clients_do_not_read(tmp_path: Path) -> None:
    live(_flood(tmp_path))


async def _flood(folder: Path) -> None:
    flood = Flood()
    handles = {protocol: flood.handle(protocol) for protocol in PROTOCOLS}
    async with rig_running(folder, handles) as rig:
        await rig.serves()
        before = rig.rss_bytes()
        talks = [
            await Talk(rig.gateway, *PAIRS[n % 4][:1], prompt("flood", PAIRS[n % 4][1])).open()
            for n in range(FLOODED)
        ]
        for talk in talks:
            await talk.until(b"two")
            talk.writer.transport.pause_reading()
        await asyncio.wait_for(flood.stalled(), 30)
        grown = rig.rss_bytes() - before
        print(f"{FLOODED} unread streams: {grown / MIB:.1f} MiB, {flood.sent / MIB:.1f} MiB sent")
        assert grown < FLOODED * STREAM_BYTES_MAX
        await rig.serves()
        # Who reads again gets what comes next, in order, and only that much more is taken.
        sent, again = flood.sent, talks[0]
        again.writer.transport.resume_reading()
        while flood.sent < sent + MIB:
            data = await asyncio.wait_for(again.reader.read(65_536), TIMEOUT_S)
            assert data
            again.answers.feed(data)
        events = again.answers.body.split(b"\n\n")[:-1]
        assert all(b"two" in event for event in events[8:]), "an event is not as it was sent"
        for talk in talks:
            talk.vanish()
        await until(lambda: flood.left == FLOODED, "the upstream is told that nobody listens")
        records = await rig.audited()
        await rig.serves()
    gone = [record for record in records.values() if record.outcome == "client_gone"]
    assert len(gone) == FLOODED
    assert min(record.usage.output for record in gone) > 1


@pytest.mark.parametrize("what", ["one-shot", "one event"])
def test_an_answer_without_end(tmp_path: Path, what: str) -> None:
    live(_endless(tmp_path, what))


async def _endless(folder: Path, what: str) -> None:
    flood = Flood()
    handles = {protocol: flood.handle(protocol) for protocol in PROTOCOLS}
    async with rig_running(folder, handles) as rig:
        await rig.serves()
        before = rig.rss_bytes()
        answers: list[Seen] = [
            await ask(rig.gateway, client, prompt(what, model, stream=what != "one-shot"))
            for client, model in PAIRS
        ]
        grown = rig.peak_bytes() - before
        print(f"{what}: at most {grown / MIB:.1f} MiB more")
        assert grown < 1.5 * RESPONSE_BYTES_MAX
        await until(lambda: flood.left == len(PAIRS), "the upstream is told to stop")
        records = await rig.audited()
        await rig.serves()
    for seen in answers:
        assert seen.ending == "refused" if what == "one-shot" else seen.ending != "whole", seen
        assert (records[seen.request_id].amount > 0) == bool(seen.text)
