"""Long bodies beside the parser; on real sockets they are in the contract suite."""

import asyncio
import itertools

import pytest
from tests.fakes.wire_client import WireClient
from tests.unit.server.test_connection import GET, PACED, Echo, connected, left

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server import connection as connection_module
from tollbridge.server.inbound import PLACED_BYTES_MIN, Request
from tollbridge.server.long_body import LongBody
from tollbridge.server.outbound import Answer
from tollbridge.units import BODY_BYTES_PER_S_MIN

BODY = b"0123456789abcde\n" * (PLACED_BYTES_MIN // 8)
"""Half of it is enough for a place."""


def post(*lines: bytes, body: bytes = BODY) -> bytes:
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n" % len(body)
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def is_placed(client: WireClient) -> bool:
    return isinstance(client.transport.protocol, LongBody)


@pytest.mark.parametrize("cut", [0, 1, 7, len(BODY) - PLACED_BYTES_MIN])
def test_pieces_of_any_size_and_what_is_pipelined_behind_them(cut: int):
    async def scenario(client: WireClient, echo: Echo) -> None:
        for number, size in enumerate((len(BODY), 1000, len(BODY) - 1, 4099), 1):
            client.send(post() + BODY[:cut])
            assert is_placed(client)
            for at in range(cut, len(BODY), size):
                client.send(BODY[at : at + size] + (GET if at + size >= len(BODY) else b""))
            assert not is_placed(client)
            assert (await client.answer(2 * number - 1)).body == BODY
            assert (await client.answer(2 * number)).body == b""
        assert [seen.method for seen in echo.seen] == ["POST", "GET"] * 4

    connected(scenario)


def test_a_head_and_a_body_cut_at_every_byte():
    body = BODY[: PLACED_BYTES_MIN + 40]
    whole = post(body=body) + body

    async def scenario(client: WireClient, echo: Echo) -> None:
        edges = [*range(1, len(whole) - PLACED_BYTES_MIN + 2), *range(len(whole) - 9, len(whole))]
        for number, at in enumerate(edges, 1):
            client.send(whole[:at])
            client.send(whole[at:])
            assert (await client.answer(number)).body == body
        for one, next_one in itertools.pairwise([0, *edges, len(whole)]):
            client.send(whole[one:next_one])
        assert (await client.answer(number + 1)).body == body

    connected(scenario)


def test_a_long_body_that_waits_behind_another_request():
    async def scenario(client: WireClient, echo: Echo) -> None:
        echo.free.clear()
        client.send(GET + post() + BODY[:9])
        await asyncio.sleep(0)
        assert client.transport.calls == ["pause"]
        client.send(BODY[9:] + GET)
        echo.free.set()
        assert [(await client.answer(number)).body for number in (1, 2, 3)] == [b"", BODY, b""]

    connected(scenario)


def test_each_piece_pays_for_a_little_more_time():
    async def scenario(client: WireClient, echo: Echo) -> None:
        echo.free.clear()
        client.send(post())
        assert left(client) == pytest.approx(30, abs=1)
        client.send(BODY[:-1])
        assert left(client) == pytest.approx(30 + len(BODY) / BODY_BYTES_PER_S_MIN, abs=1)
        client.send(BODY[-1:])
        assert left(client) == float("inf")

    connected(scenario, PACED)


def test_a_client_that_leaves_in_the_middle():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(post() + BODY[:9])
        await asyncio.sleep(0)
        assert is_placed(client)
        client.transport.protocol.eof_received()  # it sends no more, and is given a while
        assert left(client) == pytest.approx(60, abs=1)
        client.leave()
        await client.ended()
        assert (echo.gone, client.answers.raw) == (1, b"")

    connected(scenario, PACED)


def test_a_client_that_reads_slowly_meanwhile():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(post() + BODY[:9])
        assert isinstance(client.transport.protocol, LongBody)
        client.transport.protocol.pause_writing()
        assert client.connection.choked
        client.transport.protocol.resume_writing()
        assert not client.connection.choked
        client.send(BODY[9:])
        assert (await client.answer()).body == BODY

    connected(scenario)


def test_an_answer_that_comes_before_the_end():
    async def early(request: Request, answer: Answer) -> None:
        answer.start(401, [])
        answer.finish()

    async def scenario() -> None:
        client = WireClient(early)
        client.send(post() + BODY[:9])
        assert (await client.answer()).status == 401
        assert is_placed(client)
        assert left(client) < 11
        client.send(BODY[9:] + GET)
        await client.answer(2)
        assert client.transport.calls == []
        client.leave()
        await client.ended()

    asyncio.run(scenario())


def test_what_comes_after_a_body_was_cut_is_not_looked_at():
    async def scenario() -> None:
        async def telling(request: Request, answer: Answer) -> None:
            try:
                await request.body()
            except GatewayError as error:
                answer.start(error.problem.chat_status, [])
                answer.finish(error.message.encode())

        client = WireClient(telling)
        client.send(post() + BODY[:9])
        await asyncio.sleep(0)
        client.connection.cut(GatewayError(ErrorCode.GATEWAY_STOPPING, "Stopping."))
        assert (await client.answer()).body == b"Stopping."
        assert client.transport.calls[0] == "write_eof"
        before = client.connection.deadline
        client.send(BODY[9:-1])
        client.send(BODY[-1:] + GET + b"nonsense")
        await asyncio.sleep(0)
        assert client.connection.deadline == before
        assert len(client.answers.whole) == 1
        client.leave()
        await client.ended()

    asyncio.run(scenario())


@pytest.mark.parametrize("line", [b"connection: close", b"expect: 100-continue"])
def test_behind_a_last_request_the_parser_lets_nothing_pass(line: bytes):
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(post(line) + BODY[:9])
        assert not is_placed(client)
        client.send(BODY[9:])
        assert (await client.answer()).body == BODY

    connected(scenario)


def test_a_client_that_waits_to_be_asked():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(post(b"expect: 100-continue"))
        await asyncio.sleep(0)
        assert client.answers.raw == connection_module.CONTINUE
        client.send(BODY[:9])
        assert is_placed(client)
        client.send(BODY[9:] + GET)
        assert (await client.answer(2)).body == BODY
        assert (await client.answer(3)).status == 200

    connected(scenario)


def test_a_chunked_body_goes_through_the_parser():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n" % len(BODY) + BODY)
        assert not is_placed(client)
        client.send(b"\r\n0\r\n\r\n")
        assert (await client.answer()).body == BODY

    connected(scenario)


def test_nothing_of_a_body_stays_with_its_connection():
    """Loops keep who had the transport before."""

    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(post() + BODY[:9])
        holder = client.transport.protocol
        assert isinstance(holder, LongBody)
        client.send(BODY[9:])
        await client.answer()
        assert len(holder.get_buffer(0)) == 0
        assert await echo.seen[0].body() is await echo.seen[0].body(), "its memory is free of views"

    connected(scenario)
