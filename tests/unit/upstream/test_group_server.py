import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest
from tests.contract.samples import group
from tests.fakes.http_server import serving_in_thread
from tests.fakes.messages_upstream import MessagesUpstream

from tollbridge.access.cipher import NONCE_BYTES, Cipher
from tollbridge.app.ports import Call, UpstreamError
from tollbridge.config import GroupsConfig
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.upstream.group_server import GroupServers, bound_to, open_secret
from tollbridge.upstream.resolve import Address, system_lookup

CIPHER = Cipher([b"first"])
OPEN = GroupsConfig(allow_http=True, allow_private=True)
CLIENT = {"authorization": "Bearer tb_client", "x-api-key": "tb_client", "anthropic-beta": "b"}
PROMPT = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}'


def sealed(base_url: str, secret: str = "sk-theirs", **changes: object):
    about = bound_to("acme", "kimi", base_url)
    encrypted = CIPHER.encrypt(secret, about, bytes(NONCE_BYTES))
    return group("kimi", base_url=base_url, secret=encrypted, **changes)


def test_the_upstream_gets_the_groups_key_and_nothing_of_the_clients():
    upstream = MessagesUpstream(api_key="sk-theirs")

    async def ask(base_url: str) -> tuple[int, bytes]:
        server = GroupServers(OPEN, CIPHER, "here")(sealed(base_url, protocol="messages"))
        reply = await server.send(Call("/v1/messages", PROMPT, False, CLIENT))
        body = b"".join([part async for part in parts(reply)])
        await server.close()
        return reply.status, body

    async def parts(reply):
        while data := await reply.read():
            yield data

    with serving_in_thread(upstream) as running:
        status, body = asyncio.run(ask(running.root_url))
        (seen,) = running.requests
    assert status == 200, body
    assert "tb_client" not in str(seen)
    assert dict(seen.headers)["cdn-loop"] == "here"


def refusal(config: GroupsConfig, cipher: Cipher, base_url: str, **changes: object) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        GroupServers(config, cipher, "here")(sealed(base_url, **changes))
    assert raised.value.code is ErrorCode.UPSTREAM_CREDENTIAL
    assert "sk-theirs" not in str(raised.value)
    return raised.value


def test_a_secret_of_another_replica_is_told():
    error = refusal(OPEN, Cipher([b"second"]), "https://a.test")
    assert "'kimi' cannot be used" in str(error)
    assert "secrets_key" in str(error)


def test_a_row_that_was_pointed_elsewhere_sends_its_secret_nowhere():
    moved = group("kimi", base_url="https://b.test", secret=sealed("https://a.test").secret)
    with pytest.raises(GatewayError, match="for another address"):
        GroupServers(OPEN, CIPHER, "here")(moved)


@pytest.mark.parametrize(
    ("base_url", "word"), [("http://a.test", "allow_http"), ("https://127.0.0.1", "allow_private")]
)
def test_what_the_operator_no_longer_allows(base_url: str, word: str):
    assert word in str(refusal(GroupsConfig(), CIPHER, base_url))


def test_no_secret_is_needed():
    assert open_secret(group("kimi"), CIPHER) == ""
    GroupServers(GroupsConfig(), CIPHER, "here")(group("kimi"))


def looked_up(*hosts: str):
    """A name server that answers with the next of these each time."""
    answers = list(hosts)

    async def lookup(name: str) -> Sequence[Address]:
        return [Address(socket.AF_INET, answers.pop(0))]

    return lookup


def test_a_name_that_leads_here_is_not_connected_to():
    """Not even if it led elsewhere when it was looked at before."""

    async def ask(port: int) -> None:
        strict = GroupsConfig(allow_http=True)
        servers = GroupServers(
            strict, CIPHER, "here", looked_up("127.0.0.1", "10.0.0.1", "169.254.169.254")
        )
        server = servers(group("kimi", base_url=f"http://models.test:{port}"))
        for _ in range(3):
            with pytest.raises(UpstreamError, match="no public address") as raised:
                await server.send(Call("/v1/messages", PROMPT, False, {}))
            assert not raised.value.sent
        await server.close()

    with serving_in_thread(MessagesUpstream()) as running:
        asyncio.run(ask(int(running.root_url.rpartition(":")[2])))
        assert running.requests == []


def test_the_address_that_was_looked_at_is_the_one_that_is_taken():
    async def ask(port: int) -> int:
        servers = GroupServers(OPEN, CIPHER, "here", looked_up("127.0.0.1"))
        server = servers(group("kimi", base_url=f"http://models.test:{port}", protocol="messages"))
        reply = await server.send(Call("/v1/messages", PROMPT, False, {}))
        reply.abort()
        await server.close()
        return reply.status

    with serving_in_thread(MessagesUpstream()) as running:
        port = int(running.root_url.rpartition(":")[2])
        assert asyncio.run(ask(port)) in {200, 400, 401}


def test_names_that_nobody_answers_for_keep_no_upstream_of_the_operators_waiting(
    monkeypatch: pytest.MonkeyPatch,
):
    gives_up = threading.Event()
    resolve = socket.getaddrinfo

    def ask(name: str, *about: object, **more: object):
        if name.endswith(".test"):
            gives_up.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return resolve(name, *about, **more)

    async def main() -> None:
        servers = GroupServers(OPEN, CIPHER, "here")
        hanging = [servers(group("kimi", base_url=f"http://{number}.test")) for number in range(40)]
        call = Call("/v1/messages", PROMPT, False, {})
        asked = [asyncio.ensure_future(server.send(call)) for server in hanging]
        await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(5):
                assert await system_lookup("localhost")
            assert not any(task.done() for task in asked)
        finally:
            gives_up.set()
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, UpstreamError), error
            assert not error.sent

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    asyncio.run(main())
