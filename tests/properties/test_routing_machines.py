"""Random lives of a target's health and of a turnstile: what must hold after every step."""

import asyncio
from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from tollbridge.app.turnstile import Turnstile
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.catalog import Target
from tollbridge.routing.classes import REACTIONS
from tollbridge.routing.health import (
    EJECTION_MS_MAX,
    PARKED_S_MAX,
    STREAK_MAX,
    Attempt,
    Health,
)
from tollbridge.routing.plan import Failed, Failure, plan
from tollbridge.units import Millis

TARGETS = [Target(name, "m", "chat", "vllm", rank=rank) for rank, name in enumerate("abc")]
CODES = st.sampled_from([code for code in ErrorCode if code.name.startswith("UPSTREAM_")])
WAITS = st.sampled_from([None, 1, 5, 1_000])
DEAD = GatewayError(ErrorCode.UPSTREAM_UNREACHABLE, "no")
SPANS = st.sampled_from([0, 1, 500, 2_000, 31_000, 120_000])


class Targets(RuleBasedStateMachine):
    """Many requests at once, each with its plan, ending in every way."""

    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = Millis(1_000_000)
        self.open: dict[int, Attempt] = {}
        """The attempt that each request under way makes."""
        self.probes: dict[str, Attempt] = {}
        """By upstream: nobody has said anything yet about whether it is back."""

    @rule(span=SPANS)
    def time_passes(self, span: int) -> None:
        self.now = Millis(self.now + span)

    @rule(target=requests, preferred=st.permutations(TARGETS))
    def begin(self, preferred: list[Target]):
        """A request that comes is never refused."""
        return self._open(preferred)

    def _open(self, targets: list[Target]):
        out = {t.upstream for t in targets if self._out(t)}
        steps = plan(targets, self.health, 2, self.now)
        attempt = next(steps)
        if len(out) < len(targets):
            assert attempt.target == next(t for t in targets if t.upstream not in out)
        self._note(steps, attempt)
        return steps

    @rule(broken=st.sampled_from(TARGETS))
    def break_down(self, broken: Target) -> None:
        """Enough failures in a row to take it out."""
        for _ in range(STREAK_MAX):
            attempt = self.health.begin(broken, self.now)
            self._note(attempt, attempt)
            self.health.failed(attempt, DEAD, self.now)
            self.health.release(self._end(attempt))
        assert self.health.is_ejected(broken)

    @rule(steps=consumes(requests))
    def succeed(self, steps) -> None:
        attempt = self._end(steps)
        self.health.succeeded(attempt, self.now)
        self.health.release(attempt)

    @rule(steps=consumes(requests))
    def vanish(self, steps) -> None:
        """The client leaves."""
        self.health.release(self._end(steps))
        steps.close()

    @rule(steps=requests)
    def answer(self, steps) -> None:
        """A good head."""
        if id(steps) in self.open:
            self.health.answered(self.open[id(steps)])
            self._forget(self.open[id(steps)])

    @rule(target=requests, steps=consumes(requests), code=CODES, asked=WAITS, begun=st.booleans())
    def fail(self, steps, code: ErrorCode, asked: int | None, begun: bool):
        attempt = self._end(steps)
        error = GatewayError(code, "no", retry_after_s=asked)
        self.health.failed(attempt, error, self.now)
        self.health.release(attempt)
        try:
            following = steps.send(Failed([Failure(attempt.target, error, begun)], self.now, 0.5))
        except StopIteration:
            return self._open(TARGETS)
        assert REACTIONS[code].elsewhere
        self._note(steps, following)
        return steps

    @invariant()
    def a_probe_is_somebody_s(self) -> None:
        claimed = {name for (name, _), row in self.health.outliers.items() if row.probe is not None}
        assert claimed == set(self._probes())

    @invariant()
    def nobody_is_out_for_ever(self) -> None:
        latest = self.now + max(EJECTION_MS_MAX, 1_000 * PARKED_S_MAX)
        for row in self.health.snapshot(self.now):
            assert row.ready_at <= latest

    def _note(self, steps, attempt: Attempt) -> None:
        self.open[id(steps)] = attempt
        if attempt.probe:
            upstream = attempt.target.upstream
            assert upstream not in self._probes(), "one probe at a time"
            self.probes[upstream] = attempt

    def _probes(self) -> dict[str, Attempt]:
        """Without those whose target somebody else's answer has brought back."""
        self.probes = {
            name: probe
            for name, probe in self.probes.items()
            if self.health.is_ejected(probe.target)
        }
        return self.probes

    def _forget(self, attempt: Attempt) -> None:
        if self.probes.get(attempt.target.upstream) is attempt:
            del self.probes[attempt.target.upstream]

    def _out(self, target: Target) -> bool:
        row = self.health.outliers.get((target.upstream, target.model))
        return row is not None and row.out(self.now)

    def _end(self, steps) -> Attempt:
        attempt = self.open.pop(id(steps))
        self._forget(attempt)
        return attempt


class Passage(RuleBasedStateMachine):
    """Requests at a turnstile, against a list and a set that say who should be where."""

    people = Bundle("people")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.count = 0
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.inside: set[int] = set()
        self.line: deque[int] = deque()

    @initialize(places=st.integers(1, 3), queue_max=st.integers(0, 4))
    def build(self, places: int, queue_max: int) -> None:
        self.places, self.queue_max = places, queue_max
        self.gate = Turnstile(places, queue_max=queue_max, queue_wait_s=3_600)

    def teardown(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self._settle()
        self.loop.close()

    @rule(target=people)
    def come(self) -> int:
        self.count += 1
        self.tasks[self.count] = self.loop.create_task(self.gate.enter())
        self._settle()
        if len(self.inside) < self.places:
            self.inside.add(self.count)
        elif len(self.line) < self.queue_max:
            self.line.append(self.count)
        return self.count

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), leave_too=st.booleans())
    def leave(self, data: st.DataObject, leave_too: bool) -> None:
        """Somebody leaves; perhaps the first in line is cancelled in that very moment."""
        self.inside.remove(data.draw(st.sampled_from(sorted(self.inside))))
        self.gate.leave()
        if leave_too and self.line:
            self.tasks[self.line.popleft()].cancel()
        self._settle()
        self._move_up()

    @precondition(lambda self: self.line)
    @rule(data=st.data(), before=st.booleans())
    def lose_patience(self, data: st.DataObject, before: bool) -> None:
        """Somebody in line is cancelled; perhaps a place is left before the line has heard of it."""
        person = data.draw(st.sampled_from(list(self.line)))
        self.line.remove(person)
        self.tasks[person].cancel()
        if before and self.inside:
            self.inside.remove(min(self.inside))
            self.gate.leave()
        self._settle()
        self._move_up()

    @invariant()
    def everybody_is_where_they_should_be(self) -> None:
        if not hasattr(self, "gate"):
            return
        assert self.gate.inside == len(self.inside) <= self.places
        assert self.gate.waiting == len(self.line) <= self.queue_max
        for person, task in self.tasks.items():
            if person in self.line:
                assert not task.done()
            elif person in self.inside:
                assert task.done()
                assert task.exception() is None

    def _move_up(self) -> None:
        while self.line and len(self.inside) < self.places:
            self.inside.add(self.line.popleft())

    def _settle(self) -> None:
        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            for task in self.tasks.values():
                if task.done() and not task.cancelled():
                    task.exception()

        self.loop.run_until_complete(turns())


TestTargets = Targets.TestCase
TestPassage = Passage.TestCase
