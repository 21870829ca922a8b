"""One connection over a transport that a test controls; sockets are in the contract suite."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.wire_client import WireClient

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server import connection as module
from tollbridge.server.inbound import ClientGoneError, Request
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Patience
from tollbridge.units import BODY_BYTES_PER_S_MIN, HEAD_BYTES_MAX, HEADERS_MAX

GET = b"GET / HTTP/1.1\r\n\r\n"


class Echo:
    """Answers with the path and the body. While `held`, requests wait before they are answered."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.gone = 0
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, request: Request, answer: Answer) -> None:
        self.seen.append(request)
        if request.refusal is not None:
            answer.start(request.refusal.problem.chat_status, [])
            return answer.finish(request.refusal.message.encode())
        try:
            body = await request.body()
        except ClientGoneError:
            self.gone += 1
            return None
        await self.free.wait()
        answer.start(200, [("x-path", request.path)])
        return answer.finish(body)


Scenario = Callable[[WireClient, Echo], Awaitable[None]]


def connected(scenario: Scenario, patience: Patience = Patience()) -> None:  # noqa: B008 - a tuple does not change
    async def whole() -> None:
        echo = Echo()
        client = WireClient(echo, patience=patience)
        await scenario(client, echo)
        echo.free.set()
        client.leave()
        await client.ended()

    asyncio.run(whole())


def test_headers_of_one_name_are_joined_and_names_are_in_lower_case():
    async def scenario(client: WireClient, echo: Echo) -> None:
        lines = b"Anthropic-Beta: a,b\r\nX: \xe9\r\nanthropic-beta: c\r\nempty:\r\n"
        client.send(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
        await client.answer()
        assert echo.seen[0].headers == {"anthropic-beta": "a,b,c", "x": "é", "empty": ""}

    connected(scenario)


def test_trailers_are_not_headers():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        client.send(b"authorization: mine\r\n\r\n" + GET)
        assert (await client.answer()).body == b"a"
        await client.answer(2)
        assert echo.seen[0].headers == {"transfer-encoding": "chunked"}
        assert echo.seen[1].headers == {}

    connected(scenario)


def test_pipelined_requests_wait_and_no_more_is_read():
    async def scenario(client: WireClient, echo: Echo) -> None:
        echo.free.clear()
        client.send(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0)
        assert [seen.path for seen in echo.seen] == ["/1"]
        assert client.transport.calls == ["pause", "pause"]
        echo.free.set()
        for number in (1, 2, 3):
            assert (await client.answer(number)).headers["x-path"] == f"/{number}"
        assert client.transport.calls[2:] == ["resume"]

    connected(scenario)


def test_too_many_pipelined_requests_are_refused():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(GET * 1000)
        refused = await client.answer(module.PIPELINED_MAX + 2)
        assert refused.status == 400
        assert len(echo.seen) == module.PIPELINED_MAX + 2

    connected(scenario)


def test_upgrades_are_not_taken_up():
    upgrading = (
        b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n"
    )

    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(upgrading + b"hi" + upgrading + b"ho")
        assert (await client.answer()).body == b"hi"
        assert (await client.answer(2)).body == b"ho"
        client.send(GET)
        assert (await client.answer(3)).status == 200

    connected(scenario)


def test_a_body_that_nobody_reads_is_dropped_before_the_next_request():
    async def ignoring(request: Request, answer: Answer) -> None:
        answer.start(401, [])
        answer.finish()

    async def scenario() -> None:
        client = WireClient(ignoring)
        client.send(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nab")
        assert (await client.answer()).headers.get("connection") is None
        assert client.connection.deadline < asyncio.get_running_loop().time() + 11
        client.send(b"cd" + GET)
        await client.answer(2)
        assert client.transport.calls == []
        client.leave()
        await client.ended()

    asyncio.run(scenario())


def test_half_an_answer_does_not_look_like_a_whole_one():
    async def broken(_: Request, answer: Answer) -> None:
        answer.start(200, [])
        answer.write(b"half")

    async def scenario() -> None:
        client = WireClient(broken)
        client.send(GET)
        await client.ended()
        assert client.transport.calls == ["abort"]
        assert client.answers.body == b"half"

    asyncio.run(scenario())


def test_a_client_that_leaves_in_its_body():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nab")
        await asyncio.sleep(0)
        client.leave()
        await client.ended()
        assert (echo.gone, client.answers.raw) == (1, b"")

    connected(scenario)


def test_a_connection_counts_until_its_last_answer_is_done_with():
    async def scenario(client: WireClient, echo: Echo) -> None:
        echo.free.clear()
        client.send(GET)
        await asyncio.sleep(0)
        client.leave()
        await asyncio.sleep(0)
        assert client.connection.gone
        assert client.site.connections
        echo.free.set()
        await client.ended()

    connected(scenario)


PACED = Patience(head_s=10, body_s=30, idle_s=120, stalled_s=60, discard_s=5)


def left(client: WireClient) -> float:
    """Seconds until the deadline."""
    return client.connection.deadline - asyncio.get_running_loop().time()


def test_deadlines_follow_what_the_client_has_to_do():
    async def scenario(client: WireClient, echo: Echo) -> None:
        assert left(client) == pytest.approx(10, abs=1)
        client.send(b"POST / HTTP/1.1\r\ncontent-length: 9000\r\n")
        assert left(client) == pytest.approx(10, abs=1)
        echo.free.clear()
        client.send(b"\r\n")
        assert left(client) == pytest.approx(30, abs=1)
        client.send(b"x" * 8192)
        assert left(client) == pytest.approx(30 + 8192 / BODY_BYTES_PER_S_MIN, abs=1)
        client.send(b"x" * (9000 - 8192))
        assert left(client) == float("inf")
        echo.free.set()
        await client.answer()
        await asyncio.sleep(0)
        assert left(client) == pytest.approx(120, abs=1)
        client.send(GET[:5])
        assert left(client) == pytest.approx(10, abs=1)

    connected(scenario, PACED)


def test_a_slow_client_has_its_time_as_long_as_it_takes_something():
    async def scenario(client: WireClient, echo: Echo) -> None:
        connection, transport = client.connection, client.transport
        echo.free.clear()
        client.send(GET)
        await asyncio.sleep(0)
        transport.unsent = 100
        connection.pause_writing()
        drained = asyncio.ensure_future(connection.drained())
        assert left(client) == pytest.approx(60, abs=1)
        transport.unsent = 99
        connection.expire()
        assert left(client) == pytest.approx(60, abs=1)
        assert not drained.done()
        connection.resume_writing()
        await drained
        await connection.drained()
        assert left(client) == float("inf")
        connection.pause_writing()
        connection.expire()
        assert transport.calls == ["abort"]
        await connection.drained()

    connected(scenario, PACED)


def test_a_connection_that_drains_after_its_answer_is_idle():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(GET)
        client.connection.pause_writing()
        await client.answer()
        await asyncio.sleep(0)
        assert left(client) == pytest.approx(60, abs=1)
        client.connection.resume_writing()
        assert left(client) == pytest.approx(120, abs=1)

    connected(scenario, PACED)


def test_an_idle_connection_is_closed():
    async def scenario(client: WireClient, echo: Echo) -> None:
        client.send(GET)
        await client.answer()
        await asyncio.sleep(0)
        client.connection.expire()
        assert client.transport.calls == ["close"]

    connected(scenario)


def test_a_site_that_stops_ends_its_connections():
    async def scenario(client: WireClient, echo: Echo) -> None:
        echo.free.clear()
        client.send(GET)
        await asyncio.sleep(0)
        client.site.refuse()
        assert client.transport.calls == []
        echo.free.set()
        assert (await client.answer()).headers["connection"] == "close"
        await asyncio.sleep(0)
        assert client.transport.calls == ["close"]
        idle = WireClient(echo)
        idle.site.refuse()
        assert idle.transport.calls == ["close"]

    connected(scenario)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * HEAD_BYTES_MAX + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (HEADERS_MAX + 2) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(1000)) + b"\r\n",
        b"POST / HTTP/1.1\r\nx: " + b"y" * 2 * HEAD_BYTES_MAX,
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: "
        + b"y" * 2 * HEAD_BYTES_MAX,
    ],
)
def test_heads_and_trailers_have_bounds(head: bytes):
    async def answering(request: Request, answer: Answer) -> None:
        with pytest.raises(Exception, match="head is longer"):  # noqa: PT012 - two ways to fail
            if request.refusal is not None:
                raise request.refusal
            await request.body()
        answer.start(431, [])
        answer.finish()

    async def scenario(step: int) -> None:
        client = WireClient(answering)
        for start in range(0, len(head), step):
            client.send(head[start : start + step])
        refused = await client.answer()
        assert (refused.status, refused.headers["connection"]) == (431, "close")
        client.leave()
        await client.ended()

    asyncio.run(scenario(1000))
    if b"chunked" not in head:
        asyncio.run(scenario(len(head)))


def test_a_large_body_beside_a_small_head_is_no_large_head():
    async def scenario(client: WireClient, echo: Echo) -> None:
        size = 2 * HEAD_BYTES_MAX
        client.send(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
        assert len((await client.answer()).body) == size

    connected(scenario)


def test_a_body_that_is_cut_is_told_why():
    error = GatewayError(ErrorCode.GATEWAY_STOPPING, "The gateway is stopping.")

    async def answering(request: Request, answer: Answer) -> None:
        with pytest.raises(GatewayError, match="is stopping"):
            await request.body()
        assert answer.closing
        answer.start(503, [])
        answer.finish()

    async def scenario() -> None:
        client = WireClient(answering)
        client.connection.cut(error)  # nothing is arriving
        client.send(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nab")
        await asyncio.sleep(0)
        client.connection.cut(error)
        assert (await client.answer()).status == 503
        client.leave()
        await client.ended()

    asyncio.run(scenario())
