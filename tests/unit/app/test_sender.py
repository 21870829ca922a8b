"""The upstream's side of an exchange until an answer begins."""

import asyncio

import pytest
from tests.fakes.bodies import messages_body
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply, ScriptedServer

from tollbridge.app.clients import Inbound
from tollbridge.app.ports import KeyRecord, UpstreamError
from tollbridge.app.sender import Sender
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.health import Attempt
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.units import EnvId, KeyId, Millis, RequestId, Tokens

ASK = Ask(model="m", stream=True, max_tokens=100, thinking=False)
RECORD = KeyRecord(
    key_id=KeyId("key_1"), env_id=EnvId("acme"), name="first", expires_at=None, revoked_at=None,
    generation=1, models_on=frozenset({"m"}),
)  # fmt: skip
TARGET = Target("one", "there", "messages", "generic")


def sender(server, *, own=None):
    inbound = Inbound(
        request_id=RequestId("req_1"), protocol="messages", group="cloudbase", env_id=None,
        presented_key=str, headers={"anthropic-beta": "x"}, body=None,
    )  # fmt: skip
    identity = Identity("req_1", "m1", 1)
    return Sender({"one": server}, own, inbound, ASK, messages_body(), identity, Tokens(50), RECORD)


def sent(reply, *, own=None):
    server = ScriptedServer()
    server.answers = [reply]
    made = sender(server if own is None else ScriptedServer(), own=server if own else None)
    sending = made.write(Attempt(TARGET, Millis(0)), made.bridge(TARGET))
    return server, sending, asyncio.run(made.send(sending))


@pytest.mark.parametrize("own", [None, True])
def test_a_request_in_its_target_s_words(own):
    reply = ScriptedReply([])
    server, sending, got = sent(reply, own=own)
    assert got is reply
    assert not reply.aborted
    (call,) = server.calls
    assert call is sending.call
    assert sending.attempt.arrived
    assert call.path == "/v1/messages"
    assert call.stream
    assert b'"there"' in call.body
    assert b'"max_tokens":50' in call.body
    assert call.client_headers == {"anthropic-beta": "x"}


@pytest.mark.parametrize("head", [(529, {}), (200, JSON_HEAD)])
def test_what_is_no_answer_is_an_error_and_over(head):
    reply = ScriptedReply([b"{}"], *head)
    with pytest.raises(GatewayError):
        sent(reply)
    assert reply.aborted or reply.ended


def test_a_target_that_is_not_reached():
    with pytest.raises(GatewayError) as caught:
        sent(UpstreamError("no route", sent=False))
    assert caught.value.code is ErrorCode.UPSTREAM_UNREACHABLE
