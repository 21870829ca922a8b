"""The upstream breaks off at every byte of a short stream: the client never takes what it has for
a whole answer, and pays for what it got."""

import asyncio
import re
from itertools import groupby
from pathlib import Path

import pytest
from tests.chaos.clients import Seen, ask, prompt
from tests.chaos.rig import PROTOCOLS, Handle, Record, canned, live, reset, rig_running
from tests.fakes.http_server import Request

from tollbridge.usage import TokenUsage

TEXT = "Two words"
REPORTED = TokenUsage(input=1, output=2)
"""What the upstream says of it at the end."""
AT_ONCE = 12
CUT = re.compile(rb"cut (\d+)")

pytestmark = pytest.mark.slow


def breaking_off(whole: bytes, how: str) -> Handle:
    """Says so many bytes of the answer as the prompt asks for."""

    async def handle(
        request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        found = CUT.search(request.body)
        assert found is not None, request.body
        writer.write(whole[: int(found[1])])
        await writer.drain()
        if how == "reset":
            reset(writer)

    return handle


@pytest.mark.parametrize("how", ["reset", "end"])
def test_an_answer_cut_at_every_byte(tmp_path: Path, how: str) -> None:
    live(_cut_everywhere(tmp_path, how))


async def _cut_everywhere(folder: Path, how: str) -> None:
    answers = {}
    for protocol in PROTOCOLS:
        head, pieces = canned(protocol, TEXT)
        answers[protocol] = head + b"".join(pieces)
    handles = {protocol: breaking_off(whole, how) for protocol, whole in answers.items()}
    async with rig_running(folder, handles) as rig:
        workers = rig.workers()
        seen: dict[tuple[str, str, int], Seen] = {}
        jobs = iter(
            [
                (client, model, cut)
                for client in PROTOCOLS
                for model in PROTOCOLS
                for cut in range(len(answers[model]) + 1)
            ]
        )

        async def ask_on() -> None:
            for client, model, cut in jobs:
                body = prompt(f"cut {cut}", model)
                seen[client, model, cut] = await ask(rig.gateway, client, body)

        await asyncio.gather(*(ask_on() for _ in range(AT_ONCE)))
        records = await rig.audited()
        await rig.serves()
        assert rig.workers() == workers
    assert len(records) == len(seen)
    for key, answer in seen.items():
        _check_charge(key, answer, records[answer.request_id])
    for pair, of_pair in groupby(sorted(seen), key=lambda key: key[:2]):
        endings = [seen[key].ending for key in of_pair]
        if how == "end":  # a reset may take what was sent before it along
            told = [ending for ending, _ in groupby(endings)]
            assert told == ["refused", "error", "whole"], (pair, told)
        assert endings[-1] == "whole" or how == "reset", pair


def _check_charge(key: tuple[str, str, int], seen: Seen, record: Record) -> None:
    where = f"{key}: {seen}, {record}"
    assert TEXT.startswith(seen.text), where
    if seen.ending == "whole":
        assert (seen.text, seen.tokens) == (TEXT, REPORTED.output), where
        assert (record.outcome, record.provenance) == ("finished", "reported"), where
        assert record.usage == REPORTED, where
    elif seen.text:
        assert (record.outcome, record.provenance) == ("failed_midway", "counted"), where
        assert record.usage.prompt > 0, where
        assert record.usage.output > 0, where
    else:
        assert (record.outcome, record.amount) == ("failed_early", 0), where
        assert seen.ending == "error" or seen.status == 502, where
