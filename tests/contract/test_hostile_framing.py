"""The data plane's server against clients whose requests do not end where they say, or name
several hosts."""

import asyncio
from pathlib import Path

import pytest
from tests.contract.edge import HEALTH, STREAM, Edge, chunked, hostile, post
from tests.fakes.world import KEY

from tollbridge.units import DISCARD_BYTES_MAX

PIECE = b"20000\r\n" + b"x" * 0x20000 + b"\r\n"


@pytest.mark.parametrize(
    "lines",
    [b"host: x\r\nhost: x\r\n", b"host: x\r\nHost: y\r\n", b"a: b\r\na: c\r\nhost: x,y\r\n"],
)
def test_a_request_names_no_two_hosts(tmp_path: Path, lines: bytes):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(HEALTH.replace(b"host: x\r\n", lines))
            await peer.refused(400, "REQUEST_MALFORMED")
        async with edge.peer() as peer:
            peer.send(HEALTH.replace(b"host: x", b"a: b\r\na: c\r\nhost: x"))
            assert (await peer.answer()).status == 200, "others may be there twice"

    hostile(tmp_path, scenario)


def test_what_follows_a_body_is_another_request(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        async with edge.peer() as peer:
            peer.send(post(STREAM + b"more", length=len(STREAM)) + HEALTH)
            assert b"message_stop" in (await peer.answer()).body
            refused = await peer.answer(2)
            assert (refused.status, refused.headers["connection"]) == (400, "close")
        assert len(edge.world.usage()) == 1

    hostile(tmp_path, scenario)


@pytest.mark.parametrize(("key", "status"), [(KEY, 413), ("tb_nonsense", 401)])
def test_a_refused_body_without_end(tmp_path: Path, key: str, status: int):
    """It comes too fast for any deadline: what is read of it is bounded nevertheless."""

    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(chunked().replace(KEY.encode(), key.encode()))
            sent = 0

            async def flood() -> None:
                nonlocal sent
                while sent < 4 * DISCARD_BYTES_MAX:
                    await peer.sent(PIECE)
                    sent += len(PIECE)

            flooding = asyncio.ensure_future(flood())
            assert (await peer.answer()).status == status
            await peer.closed()
            assert DISCARD_BYTES_MAX < sent < 4 * DISCARD_BYTES_MAX
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        assert edge.world.usage() == []

    hostile(tmp_path, scenario)


def test_a_body_somewhat_too_large_leaves_the_connection_as_it_was(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            await peer.sent(post(b"x" * DISCARD_BYTES_MAX) + HEALTH)
            assert (await peer.answer()).status == 413
            assert (await peer.answer(2)).status == 200

    hostile(tmp_path, scenario)
