"""Whatever upstreams and clients do, and whenever: one settlement, no hold left, exact balances."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.samples import group
from tests.fakes.bodies import (
    BAD_REQUEST,
    OVERLOADED,
    chat_body,
    chunk,
    message,
    message_end,
    message_start,
    messages_body,
    text_delta,
)
from tests.fakes.exchange_parts import HANG, JSON_HEAD, RecordingClient, ScriptedReply
from tests.fakes.world import play

from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.config import OWN_PREFIX

PIECES = (
    message_start(),
    text_delta("x" * 40),
    message_end(),
    chunk("Hello there"),
    chunk(None, "stop"),
    chunk(usage={"prompt_tokens": 30, "completion_tokens": 4}),
    b"data: [DONE]\n\n",
    message(),
    b": waiting\n\n",
    b"event: error\ndata: " + OVERLOADED + b"\n\n",
    b"\xff\x00{",
)
FAILURES = ("reset", "silent", HANG)
ACTIONS = ("leave", "interrupt", "slow", "quick", "away", "back", "beat", "cancel", "revoke")

pieces = st.one_of(
    st.sampled_from(PIECES),
    st.builds(lambda piece, at: piece[:at], st.sampled_from(PIECES), st.integers(1, 30)),
    st.sampled_from(FAILURES),
)
whole = st.sampled_from(
    [
        [message_start(), text_delta("Hello"), message_end()],
        [chunk("Hello"), chunk(None, "stop"), b"data: [DONE]\n\n"],
        [message()],
    ]
)
replies = st.one_of(
    st.sampled_from(["reset", HANG]),
    st.tuples(
        st.sampled_from([200, 200, 200, 400, 429, 500]),
        st.booleans(),
        st.one_of(whole, st.lists(pieces, max_size=6)),
    ),
)
OWN = {"k-messages": "messages", "k-chat": "chat"}
"""Groups of the environment's own, and what their upstreams speak."""
asks = st.tuples(
    st.sampled_from(["messages", "chat"]),
    st.sampled_from(["m", "single", "c", *OWN]),
    st.booleans(),
)
actions = st.lists(st.tuples(st.integers(0, 25), st.sampled_from(ACTIONS)), max_size=6)


def scripted(piece):
    if piece == "reset":
        return UpstreamError("reset", sent=True)
    if piece == "silent":
        return UpstreamTimeoutError("was silent", sent=True)
    return piece


def reply(description):
    if isinstance(description, str):
        return scripted(description)
    status, is_json, steps = description
    head = JSON_HEAD if is_json else None
    body = [BAD_REQUEST] if status != 200 else map(scripted, steps)
    return ScriptedReply(list(body), status, head)


def act(world, action, client, run):
    exchange = next((live for live in world.pulse.live if live._client is client), None)
    match action:
        case "leave":
            client.leave()
        case "interrupt" if exchange is not None:
            exchange.interrupt()
        case "slow":
            client.open.clear()
        case "quick":
            client.open.set()
        case "away" | "back":
            world.store.away = action == "away"
        case "beat":
            world.now += 1_000
            world.pulse._beat()
        case "cancel":
            run.cancel()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    st.lists(st.tuples(asks, actions), min_size=1, max_size=3),
    st.lists(replies, min_size=2, max_size=4),
    st.sampled_from([150, 1_000_000]),
)
def test_every_exchange_is_settled_exactly_once(requests, answers, credits_):
    async def scenario(world):
        for name, protocol in OWN.items():
            own = group(name, protocol=protocol)
            await world.store.put_group(own)
            world.open_group(own)
        for server in world.servers.values():
            server.answers = [reply(each) for each in answers] + [HANG] * 9
        runs = []
        for (protocol, model, stream), plan in requests:
            body = (messages_body if protocol == "messages" else chat_body)(model, stream=stream)
            client = RecordingClient()
            where = {"group": model} if model in OWN else {}
            run = asyncio.ensure_future(world.ask_with(client, body, protocol, **where))
            runs.append((run, client, plan))
        for turn in range(40):
            for run, client, plan in runs:
                for when, action in plan:
                    if when == turn:
                        act(world, action, client, run)
            await asyncio.sleep(0)
        for _, client, _ in runs:
            client.open.set()
            client.leave()
        done = await asyncio.gather(*(run for run, _, _ in runs), return_exceptions=True)
        for end in done:
            assert end is None or isinstance(end, Exception | asyncio.CancelledError)
        world.store.away = False
        await world.beat(2)
        ids = [row["request_id"] for row in world.usage()]
        free = [row for row in world.usage() if str(row["model"]).startswith(OWN_PREFIX)]
        assert {row["amount"] for row in free} <= {0}
        assert {row["provenance"] for row in free} <= {"own", "recovered", "void"}
        assert sorted(set(ids) - {row["request_id"] for row in free}) == world.admitted()
        told = {one[0].request_id for one in world.observer.ended} | world.observer.refused_ids
        assert told >= set(ids), "a cancelled admission is told as a refusal"
        pack = await world.pack()
        assert pack.spent == sum(row["amount"] - row["overrun"] for row in world.usage())
        assert pack.available + pack.spent == pack.granted
        assert not [what for what, _ in world.observer.troubles if "bug" in what]

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), scenario, credits_))
