import asyncio
import json
from typing import Any

import anthropic
import httpx2
import pytest
from tests.unit.upstream.demo.conftest import TOOLS

from tollbridge.app.ports import Upstream, UpstreamError, UpstreamReply, UpstreamRequest
from tollbridge.upstream.demo import DemoUpstream


def request(said: str, **fields: Any) -> UpstreamRequest:
    messages = [{"role": "user", "content": said}]
    body = {"model": "demo", "max_tokens": 4096, "messages": messages, **fields}
    return UpstreamRequest("POST", "/v1/messages", (), json.dumps(body).encode())


async def drain(reply: UpstreamReply) -> list[bytes]:
    reads = []
    while data := await reply.read():
        reads.append(data)
    return reads


async def play(upstream: Upstream, wanted: UpstreamRequest) -> list[bytes]:
    reads = await drain(await upstream.send(wanted))
    await upstream.close()
    return reads


def test_without_pace_a_stream_is_one_read() -> None:
    (body,) = asyncio.run(play(DemoUpstream(pace_ms=0), request("Hello", stream=True)))
    assert body.startswith(b"event: message_start")
    assert body.endswith(b'data: {"type":"message_stop"}\n\n')


def test_with_pace_it_comes_bit_by_bit_and_is_the_same() -> None:
    wanted = request("[demo: words 20]", stream=True)
    (whole,) = asyncio.run(play(DemoUpstream(pace_ms=0), wanted))
    reads = asyncio.run(play(DemoUpstream(pace_ms=2), wanted))
    assert len(reads) > 5
    assert b"".join(reads) == whole


def test_a_one_shot_answer_comes_at_once() -> None:
    assert len(asyncio.run(play(DemoUpstream(pace_ms=60_000), request("Hello")))) == 1


def test_a_slow_reader_finds_what_has_become_due() -> None:
    async def main() -> list[bytes]:
        reply = await DemoUpstream(pace_ms=1).send(request("[demo: words 20]", stream=True))
        await reply.read()
        await asyncio.sleep(0.06)
        return await drain(reply)

    assert len(asyncio.run(main())) == 1


def test_a_cut_raises_after_what_was_sent() -> None:
    async def main() -> bytes:
        reply = await DemoUpstream(pace_ms=0).send(request("[demo: cut] Hello", stream=True))
        data = await reply.read()
        for _ in range(2):
            with pytest.raises(UpstreamError) as caught:
                await reply.read()
            assert caught.value.sent
        return data

    assert b"text_delta" in asyncio.run(main())


def test_abort_wakes_a_pending_read() -> None:
    async def main() -> None:
        reply = await DemoUpstream(pace_ms=60_000).send(request("Hello", stream=True))
        await reply.read()
        pending = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
        reply.abort()
        reply.abort()
        with pytest.raises(UpstreamError):
            await pending
        with pytest.raises(UpstreamError):
            await reply.read()

    asyncio.run(main())


def test_abort_after_the_end_does_nothing() -> None:
    async def main() -> None:
        reply = await DemoUpstream(pace_ms=0).send(request("Hello"))
        await drain(reply)
        reply.abort()
        assert await reply.read() == b""

    asyncio.run(main())


def test_a_cancelled_read_loses_nothing() -> None:
    async def main() -> bytes:
        wanted = request("[demo: words 3] [demo: pace 20]", stream=True)
        reply = await DemoUpstream().send(wanted)
        body = await reply.read()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.read(), 0.001)
        return body + b"".join(await drain(reply))

    (whole,) = asyncio.run(
        play(DemoUpstream(), request("[demo: words 3] [demo: pace 0]", stream=True))
    )
    assert asyncio.run(main()).count(b"event: ") == whole.count(b"event: ")


class _Transport(httpx2.BaseTransport):
    """The demo model where the SDK expects a network."""

    def handle_request(self, sent: httpx2.Request) -> httpx2.Response:
        wanted = UpstreamRequest(sent.method, sent.url.path, (), sent.read())

        async def main() -> httpx2.Response:
            reply = await DemoUpstream(pace_ms=0).send(wanted)
            body = b"".join(await drain(reply))
            return httpx2.Response(reply.status, headers=dict(reply.headers), content=body)

        return asyncio.run(main())


@pytest.fixture
def client() -> anthropic.Anthropic:
    return anthropic.Anthropic(
        auth_token="key",
        base_url="http://demo.invalid",
        max_retries=0,
        http_client=httpx2.Client(transport=_Transport()),
    )


def test_the_sdk_reads_an_answer(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model="demo", max_tokens=1024, messages=[{"role": "user", "content": "Hello"}]
    )
    assert message.content[0].type == "text"
    assert message.content[0].text.startswith("Hello!")
    assert message._request_id is not None


def test_the_sdk_folds_a_stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model="demo",
        max_tokens=1024,
        thinking={"type": "adaptive"},
        tools=[TOOLS[1], TOOLS[2]],
        messages=[{"role": "user", "content": "call both tools, in Rome, with 1 and 2"}],
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    thinking, weather, add = message.content
    assert thinking.type == "thinking"
    assert thinking.signature
    assert weather.type == add.type == "tool_use"
    assert (weather.input, add.input) == ({"city": "Rome"}, {"a": 1, "b": 2})
    assert message.usage.output_tokens > 20


def test_the_sdk_raises_its_own_errors(client: anthropic.Anthropic) -> None:
    def send(said: str, max_tokens: int = 99) -> None:
        client.messages.create(
            model="demo", max_tokens=max_tokens, messages=[{"role": "user", "content": said}]
        )

    with pytest.raises(anthropic.RateLimitError):
        send("[demo: fail 429]")
    with pytest.raises(anthropic.InternalServerError):
        send("[demo: fail 500]")
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        send("Hello", -1)
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(
            model="demo",
            max_tokens=99,
            messages=[{"role": "user", "content": "[demo: fail midstream]"}],
        ) as stream,
    ):
        stream.get_final_message()


def test_the_sdk_counts_and_lists(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(
        model="demo", messages=[{"role": "user", "content": "Hello"}]
    )
    assert counted.input_tokens == 7
    assert [model.id for model in client.models.list()] == ["demo"]
    assert client.models.retrieve("demo").display_name == "Tollbridge demo"
