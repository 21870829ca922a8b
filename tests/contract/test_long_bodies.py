"""Bodies long enough to have a place of their own, on a real socket and the real loop."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.contract.edge import ASK, HEALTH, QUICK, Edge, hostile, post
from tests.fakes.world import KEY

from tollbridge.server.inbound import PLACED_BYTES_MIN

LONG = json.dumps({**ASK, "stream": True, "system": "Be kind. " * 8_000}).encode()
HEAD = len(post(LONG)) - len(LONG)


def sent_on(edge: Edge) -> bytes:
    """The body that the model's server got last."""
    return edge.world.servers["one"].calls[-1].body


def test_a_long_body_in_pieces(tmp_path: Path):
    request = post(LONG)
    assert len(LONG) > 4 * PLACED_BYTES_MIN

    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            for number, size in enumerate((100, 1_448, 9_999, 65_536, HEAD, len(request)), 1):
                edge.answers()
                for at in range(0, len(request), size):
                    await peer.sent(request[at : at + size])
                    await asyncio.sleep(0)
                assert (await peer.answer(number)).status == 200
                assert sent_on(edge) == LONG

    hostile(tmp_path, scenario)


def test_requests_behind_a_long_body(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        edge.answers()
        async with edge.peer() as peer:
            await peer.sent(post(LONG)[:-5_000])
            await asyncio.sleep(0.01)
            peer.send(LONG[-5_000:] + HEALTH + post(LONG) + HEALTH)
            statuses = [(await peer.answer(number)).status for number in (1, 2, 3, 4)]
            assert statuses == [200] * 4
            assert sent_on(edge) == LONG

    hostile(tmp_path, scenario)


def test_a_long_body_that_stalls(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(post(LONG)[: HEAD + 9])
            await peer.refused(408, "REQUEST_TIMEOUT")

    hostile(tmp_path, scenario, QUICK)


def test_a_long_body_that_is_refused_before_its_end(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            request = post(LONG).replace(KEY.encode(), b"tb_nonsense")
            await peer.sent(request[:-5_000])
            assert (await peer.answer()).status == 401
            peer.send(LONG[-5_000:] + HEALTH)
            assert (await peer.answer(2)).json() == {"status": "ok"}

    hostile(tmp_path, scenario)


@pytest.mark.parametrize("how", ["leave", "reset", "half_close"])
def test_a_client_that_leaves_in_a_long_body(tmp_path: Path, how: str):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            await peer.sent(post(LONG)[:-5_000])
            await edge.until(lambda: bool(edge.site.connections))
            await asyncio.sleep(0.01)
            getattr(peer, how)()
            await edge.until(lambda: not edge.site.connections)
        assert edge.world.usage() == []

    hostile(tmp_path, scenario, QUICK._replace(stalled_s=0.5))
