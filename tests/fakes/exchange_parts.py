"""Everything around an exchange, scripted: model servers, clients, observers, stores."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from tollbridge.app.ports import Alert, Call, StoreUnavailableError, UpstreamError, Waits
from tollbridge.errors import GatewayError
from tollbridge.ledger.model import Settlement
from tollbridge.storage.sqlite import SqliteStore

HANG = "hang"
"""A step at which nothing comes until the answer is aborted."""

Step = bytes | str | Exception | Callable[[], object]
JSON_HEAD = {"content-type": "application/json"}
STREAM_HEAD = {"content-type": "text/event-stream"}


class ScriptedReply:
    """An upstream's answer that follows a script; callables are called on the way.

    With `prompt` its end comes along with its last bytes.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        prompt: bool = False,
    ) -> None:
        self._prompt = prompt
        self.status = status
        self.headers = STREAM_HEAD if headers is None else headers
        self.aborted = False
        self.ended = False
        self._steps = list(steps)
        self._abort = asyncio.Event()

    @property
    def at_end(self) -> bool:
        return self.ended or (self._prompt and not self._steps)

    async def read(self) -> bytes:
        while True:
            await asyncio.sleep(0)
            if self.aborted:
                raise UpstreamError("aborted", sent=True)
            if not self._steps:
                self.ended = True
                return b""
            step = self._steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                self.ended = True
                raise step
            if isinstance(step, str):
                await self._abort.wait()
                raise UpstreamError("aborted", sent=True)
            step()

    async def pour(self, take: Callable[[bytes], bool]) -> bool:
        while data := await self.read():
            if not take(data):
                return False
        return True

    def abort(self) -> None:
        if not self.ended:
            self.aborted = True
            self._abort.set()


class ScriptedServer:
    """Answers with what `answers` says, in order: a reply, an error, or `HANG`.

    While `connecting` is set nothing has left for it.
    """

    def __init__(self) -> None:
        self.answers: list[ScriptedReply | Exception | str] = []
        self.calls: list[Call] = []
        self.replies: list[ScriptedReply] = []
        self.closed = False
        self.connecting = False

    async def send(self, call: Call) -> ScriptedReply:
        self.calls.append(call)
        await asyncio.sleep(0)
        if call.on_sent is not None and not self.connecting:
            call.on_sent()
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, ScriptedReply)
        self.replies.append(answer)
        return answer

    async def close(self) -> None:
        self.closed = True


class RecordingClient:
    """Notes what it is told. `open` is cleared to make it slow; `leave` makes it go away."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.finished = False
        self.open = asyncio.Event()
        self.open.set()
        self.on_write: Callable[[bytes], None] = lambda _: None
        self._on_gone: Callable[[], None] | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def choked(self) -> bool:
        return not self.open.is_set()

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert self.status is None, "a head is sent once"
        self.status = status
        self.headers = dict(headers)

    def write(self, data: bytes) -> None:
        assert self.status is not None, "the head comes first"
        assert not self.finished, "nothing follows the end"
        self.parts.append(data)
        self.on_write(data)

    def finish(self, data: bytes = b"") -> None:
        assert self.status is not None
        assert not self.finished
        self.finished = True
        self.parts.append(data)

    async def drained(self) -> None:
        await self.open.wait()

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone

    def unwatch(self) -> None:
        self._on_gone = None

    def leave(self) -> None:
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()


class RecordingObserver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[tuple[Settlement, int, str | None]] = []
        self.waits: list[Waits] = []
        self.attempts: list[int] = []
        self.tried: list[tuple[str, str | None]] = []
        """The upstream and the error of each attempt."""
        self.failed: list[tuple[str, str, GatewayError]] = []
        self.refused: list[GatewayError] = []
        self.refused_ids: set[str] = set()
        self.troubles: list[tuple[str, BaseException]] = []
        self.unknowns: list[tuple[str, str]] = []
        self.alerts: list[Alert] = []

    def exchange_ended(
        self,
        settlement: Settlement,
        status: int,
        error: str | None,
        waits: Waits,
        attempts: int,
    ) -> None:
        self.ended.append((settlement, status, error))
        self.waits.append(waits)
        self.attempts.append(attempts)

    def attempt_ended(self, request_id: str, upstream: str, error: GatewayError | None) -> None:
        self.tried.append((upstream, error.code.name if error else None))
        if error is not None:
            self.failed.append((request_id, upstream, error))

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:
        self.refused.append(error)
        self.refused_ids.add(request_id)

    def unknown(self, kind: str, name: str) -> None:
        self.unknowns.append((kind, name))

    def pack_reached(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def trouble(self, what: str, error: BaseException) -> None:
        self.troubles.append((what, error))


class MemorySpool:
    """A spool that is as durable as the test; `broken` is raised by whatever writes."""

    def __init__(self, *left_behind: Settlement) -> None:
        self.kept: list[Settlement] = []
        self.rejected: list[tuple[str, str]] = []
        self.closed = False
        self.broken: OSError | None = None
        self._left_behind = left_behind

    def keep(self, settlement: Settlement) -> None:
        self._write()
        self.kept.append(settlement)

    def adopt(self) -> tuple[Settlement, ...]:
        return self._left_behind

    def clear(self) -> None:
        self.kept.clear()

    def reject(self, settlement: Settlement, reason: str) -> None:
        self._write()
        self.rejected.append((settlement.request_id, reason))

    def close(self) -> None:
        self.closed = True

    def _write(self) -> None:
        if self.broken is not None:
            raise self.broken


class FlakyStore(SqliteStore):
    """A real store that can be away: every method says so while `away` is set."""

    away = False

    async def find_key(self, key_hash):
        self._check()
        return await super().find_key(key_hash)

    async def generation(self, env_id):
        self._check()
        return await super().generation(env_id)

    async def find_group(self, env_id, name):
        self._check()
        return await super().find_group(env_id, name)

    async def admit(self, admission):
        self._check()
        return await super().admit(admission)

    async def settle(self, settlement):
        self._check()
        return await super().settle(settlement)

    async def checkpoint(self, worker_id, checkpoints, now):
        self._check()
        await super().checkpoint(worker_id, checkpoints, now)

    async def sweep(self, now):
        self._check()
        return await super().sweep(now)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailableError("the cable is out")
