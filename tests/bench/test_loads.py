"""The loads on the fake upstream itself: they count what it sends, and notice what it does not."""

import dataclasses

import pytest
from bench.gateway.client import RefusedError, Tally
from bench.gateway.loads import LOADS, Effort, OverwhelmedError, run
from bench.gateway.processes import behind_ms, fake_upstream
from bench.gateway.targets import Running

pytestmark = pytest.mark.slow
EFFORT = Effort(repeat_s=0.05, paced_s=0.1, overload_s=0.1, singles=3)
NAMED = {load.name: load for load in LOADS}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with fake_upstream(tmp_path_factory.mktemp("upstream")) as root_url:
        yield Running(root_url)


@pytest.mark.parametrize("protocol", ["messages", "chat"])
@pytest.mark.parametrize("name", ["one-shot", "burst", "body-60k", "first-token"])
def test_answers_are_counted(upstream, name, protocol):
    figures = run(NAMED[name], upstream, protocol, protocol, EFFORT, Tally())
    assert figures.get("rate", 1) > 0
    assert figures.get("cpu_us", 0) == 0  # nothing stands in between


def test_paced_streams_come_at_their_pace(upstream):
    load = dataclasses.replace(NAMED["paced-200"], connections=10)
    figures = run(load, upstream, "chat", "chat", EFFORT, Tally())
    assert figures["complete"] == 1
    assert figures["rate"] > 0
    assert 0 <= figures["delay_p50_ms"] <= figures["delay_p99_ms"]
    assert behind_ms(upstream.root_url) >= 0


def test_overload_tells_what_came_through(upstream):
    load = dataclasses.replace(NAMED["overload"], connections=10)
    figures = run(load, upstream, "messages", "messages", EFFORT, Tally())
    assert (figures["complete"], figures["refused"], figures["broken"]) == (1, 0, 0)


def test_an_answer_that_never_ends_does_not_hold_up_the_run(upstream, monkeypatch):
    monkeypatch.setattr("bench.gateway.loads.LOAD_TIMEOUT_S", 0.2)
    load = dataclasses.replace(NAMED["first-token"], pace_ms=60_000)
    with pytest.raises(OverwhelmedError, match="0 answers"):
        run(load, upstream, "chat", "chat", EFFORT, Tally())


def test_a_refusal_ends_the_run(upstream):
    load = dataclasses.replace(NAMED["one-shot"], chunks=-1)  # not understood there
    with pytest.raises(RefusedError, match="no directive"):
        run(load, upstream, "messages", "messages", EFFORT, Tally())
