import asyncio
import json

import pytest
from tests.fakes.exchange_parts import ScriptedServer
from tests.fakes.wire_client import Answer, call
from tests.unit.server.conftest import CHAT, MESSAGES, Play, World, prompt

from tollbridge.app.ports import UpstreamError
from tollbridge.config import Protocol
from tollbridge.errors import PROBLEMS, ErrorCode, GatewayError
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer as Outbound
from tollbridge.server.problems import answer_problem, dialect_of
from tollbridge.server.routes import MethodError
from tollbridge.units import RequestId


def answered(protocol: Protocol, error: GatewayError) -> Answer:
    async def serve(_: Request, answer: Outbound) -> None:
        answer_problem(answer, protocol, error, RequestId("req_1"))

    return asyncio.run(call(serve, "POST", "/"))


@pytest.mark.parametrize("code", ErrorCode)
def test_every_problem_in_both_dialects(code: ErrorCode):
    problem = PROBLEMS[code]
    error = GatewayError(code, "What happened, 工.", field="messages[0]", retry_after_s=7)
    messages, chat = answered("messages", error), answered("chat", error)
    assert messages.status == problem.messages_status
    assert chat.status == problem.chat_status
    assert messages.json()["error"] == {"type": problem.messages_type, "message": error.message}
    assert chat.json()["error"]["param"] == "messages[0]"
    for answer in (messages, chat):
        assert answer.status >= 400
        assert answer.json()["code"] == problem.code
        assert answer.headers["retry-after"] == "7"
        steered = {True: "true", False: "false", None: None}[problem.retryable]
        assert answer.headers.get("x-should-retry") == steered
        assert json.loads(answer.body)["message"] == error.message


def test_a_wrong_method_names_the_right_ones():
    assert answered("chat", MethodError("/x", "PUT", "POST")).headers["allow"] == "POST, OPTIONS"
    assert "allow" not in answered("chat", GatewayError(ErrorCode.INTERNAL, "x")).headers


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_errors_tell_how_many_attempts_went_before(play: Play, path: str):
    async def scenario(world: World) -> None:
        server = world.gateway.servers["demo"] = ScriptedServer()
        refused = UpstreamError("the connection was refused", sent=False)
        for ends, status, told in (
            ([refused] * 3, 502, "3"),
            ([refused, ZeroDivisionError("of the gateway")], 500, "2"),
            ([ZeroDivisionError("of the gateway")], 500, None),
        ):
            server.answers.extend(ends)
            answer = await world.ask(path, prompt())
            assert (answer.status, answer.headers.get("x-tollbridge-attempts")) == (status, told)
            assert server.answers == []

    play(scenario)


@pytest.mark.parametrize(
    ("path", "headers", "protocol"),
    [
        ("/v1/messages/batches", {}, "messages"),
        ("/v1/nothing", {"anthropic-version": "2023-06-01"}, "messages"),
        ("/v1/nothing", {}, "chat"),
        ("/models", {}, "chat"),
    ],
)
def test_where_the_endpoint_does_not_say(path: str, headers: dict[str, str], protocol: str):
    assert dialect_of(path, headers) == protocol
