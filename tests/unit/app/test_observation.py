"""What an exchange tells those who watch."""

from msgspec.structs import astuple
from tests.fakes.bodies import chat_body, message_end, message_start, messages_body, text_delta
from tests.fakes.exchange_parts import JSON_HEAD, ScriptedReply
from tests.fakes.world import answer, in_world

from tollbridge.app.observation import Waits
from tollbridge.errors import ErrorCode


def test_an_exchange_that_never_waited():
    assert astuple(Waits()) == (0, 0, None)


@in_world()
async def test_each_attempt_is_told_once(world):
    overloaded = ScriptedReply([b"{}"], 529, JSON_HEAD)
    world.servers["one"].answers = [overloaded]
    world.servers["two"].answers = [answer("Hello")]
    await world.ask(messages_body())
    assert world.observer.tried == [("one", "UPSTREAM_OVERLOADED"), ("two", None)]


@in_world()
async def test_what_no_upstream_was_asked_is_no_attempt(world):
    body = chat_body(model="m", n=2, stream=False)
    _, error = await world.ask(body, "chat")
    assert error.code is ErrorCode.FIELD_UNSUPPORTED
    assert world.observer.tried == []


@in_world()
async def test_waits(world):
    late = ScriptedReply([message_start(), text_delta("x"), message_end()])

    async def read():
        world.now += 30
        return await ScriptedReply.read(late)

    late.read = read
    world.servers["one"].answers = [late]
    admit, settle = world.store.admit, world.store.settle

    async def slow_admit(asked):
        world.now += 5
        return await admit(asked)

    async def slow_settle(settlement):
        world.now += 7
        return await settle(settlement)

    world.store.admit, world.store.settle = slow_admit, slow_settle
    await world.ask(messages_body())
    (waits,) = world.observer.waits
    assert astuple(waits) == (5, 7, 35), "to the first event, not to the last"
