from typing import Any

import pytest
from tests.unit.server.conftest import (
    BASE,
    CHAT,
    COUNT,
    ENV,
    MESSAGES,
    OTHER,
    START,
    Play,
    World,
    check_refusal,
    prompt,
)

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.credentials import environment_of_host, presented_key
from tollbridge.units import Millis


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer k", None, "k"),
        ("bearer k", None, "k"),
        ("BEARER \t k ", None, "k"),
        ("Bearer\tk", None, "k"),
        ("k", None, "k"),
        ("k", "other", "k"),
        (None, "k", "k"),
        ("", " k ", "k"),
        ("Bearer", "k", "k"),
        ("Bearer ", "k", "k"),
        ("Basic dTpw", "k", "k"),
        ("Bearer k", "other", "k"),
        ("Bearer k more", None, "k more"),
        ("Bearer k,Bearer k", None, "k,Bearer k"),
    ],
)
def test_bearer_wins_over_x_api_key(authorization: str | None, x_api_key: str | None, key: str):
    sent = {"authorization": authorization, "x-api-key": x_api_key}
    assert presented_key({name: value for name, value in sent.items() if value is not None}) == key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "  "},
        {"authorization": "Bearer"},
        {"authorization": "Basic dTpw"},
        {"x-api-key": " "},
        {"proxy-authorization": "Bearer k", "cookie": "k"},
    ],
)
def test_no_key_is_told_how_to_send_one(headers: dict[str, str]):
    with pytest.raises(GatewayError) as caught:
        presented_key(headers)
    assert caught.value.code is ErrorCode.CREDENTIAL_MISSING
    assert "Authorization: Bearer" in caught.value.message


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        ("a.api.example.com", "a"),
        ("A.Api.EXAMPLE.com:8443", "a"),
        ("a.api.example.com.", "a"),
        ("a.api.example.com.:80", "a"),
        ("a.b.api.example.com", "a.b"),
        (".api.example.com", ""),
        ("api.example.com", None),
        ("a.example.com", None),
        ("aapi.example.com", None),
        ("a.api.example.com.evil.test", None),
        ("127.0.0.1:8787", None),
        ("[::1]:8787", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_the_host_may_name_an_environment(host: str, environment: str | None):
    assert environment_of_host(host, "Example.com") == environment


def test_without_a_domain_only_the_key_names_it():
    assert environment_of_host("a.api.", "") is None
    assert environment_of_host("a.api.example.com", "") is None


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        (MESSAGES, "POST", prompt()),
        (COUNT, "POST", prompt()),
        (CHAT, "POST", prompt()),
        ("/models", "GET", b""),
        (f"{BASE}/models/demo", "GET", b""),
    ],
)
def test_every_route_wants_a_good_key(play: Play, path: str, method: str, body: object):
    async def scenario(world: World) -> None:
        async def refused(code: str, key: str = "", **more: Any) -> str:
            answer = await world.ask(path, body, method=method, key=key, **more)
            dialect = "messages" if "messages" in path else "chat"
            return check_refusal(answer, 401, code, dialect=dialect)

        assert "x-api-key" in await refused("INVALID_CREDENTIALS")
        await refused("INVALID_ACCESS_TOKEN", "tb_nonsense")
        await refused("INVALID_ACCESS_TOKEN", headers={"x-api-key": "\xff\xfe" + "x" * 5000})
        foreign = await world.add_key(OTHER)
        host = {"host": f"{ENV}.api.example.com"}
        assert ENV in await refused("INVALID_ACCESS_TOKEN", foreign, headers=host)
        revoked = await world.add_key(ENV)
        await world.store.revoke_key(world.key_id(revoked), world.now)
        assert "revoked" in await refused("ACCESS_TOKEN_INVALID", revoked)
        brief = await world.add_key(ENV, Millis(START + 1000))
        world.now = Millis(START + 1000)
        assert "expired" in await refused("ACCESS_TOKEN_EXPIRED", brief)
        # A bad bearer is not rescued by a good `x-api-key` beside it.
        await refused("INVALID_ACCESS_TOKEN", "tb_nonsense", headers={"x-api-key": world.key})

    world = play(scenario)
    assert "tb_" not in world.log.getvalue()


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [(MESSAGES, "POST", prompt()), (COUNT, "POST", prompt()), ("/models", "GET", b"")],
)
def test_either_header_opens_every_route(play: Play, path: str, method: str, body: object):
    async def scenario(world: World) -> None:
        for headers in (
            {"authorization": f"Bearer {world.key}"},
            {"authorization": f"bearer   {world.key} "},
            {"authorization": world.key},
            {"x-api-key": world.key},
            {"authorization": "Bearer", "x-api-key": world.key},
            {"authorization": "Basic dTpw", "x-api-key": world.key},
            {"authorization": f"Bearer {world.key}", "x-api-key": "tb_nonsense"},
            {
                "x-api-key": world.key,
                "anthropic-version": "1066-10-14",
                "anthropic-beta": "a,b,of-tomorrow",
            },
        ):
            answer = await world.ask(path, body, method=method, key="", headers=headers)
            assert answer.status == 200, (headers, answer.body)

    play(scenario)


def test_the_host_names_the_environment(play: Play):
    async def scenario(world: World) -> None:
        for host in (ENV, f"{ENV}.api.example.com", f"{ENV.upper()}.API.Example.COM:8787", "::1"):
            answer = await world.ask("/models", headers={"host": host})
            assert answer.status == 200, host
        for host in (f"{OTHER}.api.example.com", f"x.{ENV}.api.example.com", ".api.example.com"):
            answer = await world.ask("/models", headers={"host": host})
            assert answer.status == 401, host

    play(scenario)


def test_a_revoked_key_and_a_switch_count_at_once(play: Play):
    async def scenario(world: World) -> None:
        assert (await world.ask(MESSAGES, prompt())).status == 200
        await world.store.switch(ENV, ["demo"], on=False)
        assert (await world.ask(MESSAGES, prompt())).status == 404
        await world.store.switch(ENV, ["demo"], on=True)
        assert (await world.ask(MESSAGES, prompt())).status == 200
        await world.store.revoke_key(world.key_id(world.key), world.now)
        assert (await world.ask(MESSAGES, prompt())).status == 401

    play(scenario)
