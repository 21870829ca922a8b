import asyncio

import pytest

from tollbridge.app.ports import Call, UpstreamError, UpstreamReply, UpstreamRequest
from tollbridge.upstream.demo.upstream import DemoUpstream
from tollbridge.upstream.model_server import CredentialedServer


class Recorder(DemoUpstream):
    """The demo model, which also remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(pace_ms=0)
        self.requests: list[UpstreamRequest] = []
        self.closed = 0

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        return await super().send(request)

    async def close(self) -> None:
        self.closed += 1


CLIENT = {"x-api-key": "tb_client", "anthropic-beta": "b", "anthropic-version": "2023-06-01"}


def sent(server: CredentialedServer, call: Call) -> UpstreamReply:
    return asyncio.run(_send(server, call))


async def _send(server: CredentialedServer, call: Call) -> UpstreamReply:
    return await server.send(call)


def test_the_call_gets_the_upstreams_credentials_and_not_the_clients():
    upstream = Recorder()
    server = CredentialedServer(upstream, "messages", "anthropic", "sk-ours")
    reply = sent(server, Call("/v1/messages", b"{}", False, CLIENT))
    assert reply.status == 400
    (request,) = upstream.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/messages", b"{}")
    headers = dict(request.headers)
    assert headers["x-api-key"] == "sk-ours"
    assert headers["anthropic-beta"] == "b"
    assert headers["anthropic-version"] == "2023-06-01"
    assert "tb_client" not in repr(request.headers)


def test_a_pinned_version_replaces_the_clients():
    upstream = Recorder()
    server = CredentialedServer(upstream, "messages", "generic", "")
    sent(server, Call("/v1/messages", b"{}", True, CLIENT, pin_version="2026-10-21"))
    headers = dict(upstream.requests[0].headers)
    assert headers["anthropic-version"] == "2026-10-21"
    assert headers["accept"] == "text/event-stream"


def test_a_chat_upstream_is_not_told_of_anthropic():
    upstream = Recorder()
    server = CredentialedServer(upstream, "chat", "generic", "sk-ours")
    sent(server, Call("/chat/completions", b"{}", False, CLIENT))
    headers = dict(upstream.requests[0].headers)
    assert headers["authorization"] == "Bearer sk-ours"
    assert not [name for name in headers if name.startswith("anthropic")]


def test_who_asks_is_told_that_it_was_sent():
    told = []
    server = CredentialedServer(Recorder(), "messages", "generic", "")
    sent(server, Call("/v1/messages", b"{}", False, CLIENT, on_sent=lambda: told.append(1)))
    assert told == [1]


def test_failures_and_the_end_are_passed_on():
    class Away(Recorder):
        async def send(self, request: UpstreamRequest) -> UpstreamReply:
            raise UpstreamError("cannot be reached", sent=False)

    upstream = Away()
    server = CredentialedServer(upstream, "chat", "generic", "sk-ours")
    with pytest.raises(UpstreamError, match="cannot be reached"):
        sent(server, Call("/x", b"", False, {}))
    asyncio.run(server.close())
    assert upstream.closed == 1
    assert "sk-ours" not in repr(server)
