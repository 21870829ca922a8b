import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.inbound import PLACED_BYTES_MIN, ClientGoneError, Request
from tollbridge.units import PLACED_BYTES_MAX


def request(
    bytes_max: int = 100,
    headers: dict[str, str] | None = None,
    on_wanted: Callable[[], None] | None = None,
) -> Request:
    return Request("POST", "/", headers or {}, bytes_max, on_wanted=on_wanted)


async def fed(request: Request, *parts: bytes, late: bool = False) -> bytes:
    """The body, of which the parts come before or while somebody waits for it."""
    if late:
        reading = asyncio.ensure_future(request.body())
        for part in parts:
            await asyncio.sleep(0)
            request.feed(part)
        request.end()
        return await reading
    for part in parts:
        request.feed(part)
    request.end()
    return await request.body()


@given(st.lists(st.binary(max_size=5)), st.booleans())
def test_the_body_is_its_parts(parts: list[bytes], late: bool):
    assert asyncio.run(fed(request(1000), *parts, late=late)) == b"".join(parts)


def test_a_single_part_is_not_copied():
    whole = b"x" * 100
    assert asyncio.run(fed(request(), whole)) is whole


def too_large(call: Callable[[], object]) -> None:
    with pytest.raises(GatewayError) as caught:
        call()
    assert caught.value.code is ErrorCode.BODY_TOO_LARGE


def test_the_limit_is_kept_while_reading():
    assert len(asyncio.run(fed(request(), b"x" * 60, b"x" * 40))) == 100
    too_large(lambda: asyncio.run(fed(request(), b"x" * 60, b"x" * 41, late=True)))

    async def endless() -> None:
        wanted = request()
        wanted.feed(b"x" * 101)
        await wanted.body()  # it has not ended, and need not

    too_large(lambda: asyncio.run(endless()))


def test_a_length_that_is_told_is_believed():
    async def scenario(length: str) -> None:
        invited: list[bool] = []
        wanted = request(100, {"content-length": length}, lambda: invited.append(True))
        try:
            async with asyncio.timeout(0.01):
                await wanted.body()
        finally:
            assert invited == ([] if length == "101" else [True])

    too_large(lambda: asyncio.run(scenario("101")))
    for length in ("100", "0x65", "9" * 30, ""):
        with pytest.raises(TimeoutError):
            asyncio.run(scenario(length))


def test_the_client_is_asked_once_and_only_if_it_waits():
    async def scenario() -> None:
        asked: list[bool] = []
        wanted = request(on_wanted=lambda: asked.append(True))
        reading = asyncio.ensure_future(wanted.body())
        await asyncio.sleep(0)
        assert asked == [True]
        wanted.feed(b"x")
        wanted.end()
        assert await reading == b"x"
        assert asked == [True]
        here = request(on_wanted=lambda: asked.append(True))
        here.end()
        assert await here.body() == b""
        assert asked == [True]

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [ClientGoneError(), GatewayError(ErrorCode.REQUEST_TIMEOUT, "")])
def test_a_body_that_will_not_come(error: Exception):
    async def scenario(*, late: bool) -> None:
        wanted = request()
        wanted.feed(b"x")
        if not late:
            wanted.fail(error)
        reading = asyncio.ensure_future(wanted.body())
        await asyncio.sleep(0)
        wanted.fail(error)
        with pytest.raises(type(error)):
            await reading

    asyncio.run(scenario(late=True))
    asyncio.run(scenario(late=False))


def test_what_has_ended_cannot_fail():
    async def scenario() -> None:
        wanted = request()
        wanted.end()
        wanted.fail(ClientGoneError())
        assert await wanted.body() == b""

    asyncio.run(scenario())


def test_what_is_dropped_is_not_kept():
    wanted = request()
    wanted.feed(b"x" * 50)
    wanted.drop()
    wanted.feed(b"x" * 50)
    assert wanted._parts == []
    large = request()
    large.feed(b"x" * 101)
    large.feed(b"x" * 101)
    assert large._parts == []


def told(length: int, bytes_max: int = 10 * PLACED_BYTES_MAX) -> Request:
    return request(bytes_max, {"content-length": str(length)})


def test_a_long_body_is_written_to_its_place_and_not_copied():
    wanted = told(PLACED_BYTES_MIN + 5)
    wanted.feed(b"ab")
    wanted.feed(b"cde")
    place = wanted.place()
    assert place is not None
    place[:] = b"x" * PLACED_BYTES_MIN
    place.release()
    wanted.end()
    body = asyncio.run(wanted.body())
    assert body == b"abcde" + b"x" * PLACED_BYTES_MIN
    assert asyncio.run(wanted.body()) is body


def test_what_has_no_place():
    assert told(PLACED_BYTES_MIN - 1).place() is None
    assert told(PLACED_BYTES_MAX + 1).place() is None, "so much is not given for a promise"
    assert told(PLACED_BYTES_MAX, bytes_max=PLACED_BYTES_MAX - 1).place() is None
    assert told(PLACED_BYTES_MAX).place() is not None
    assert request(10**9).place() is None, "nobody knows how long it is"
    nearly = told(PLACED_BYTES_MIN)
    nearly.feed(b"x")
    assert nearly.place() is None, "the rest is short"
    dropped = told(PLACED_BYTES_MIN)
    dropped.drop()
    assert dropped.place() is None
