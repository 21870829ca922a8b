"""The processes of the gateway: one that supervises, and as many workers as are wanted.

The supervisor opens the listening sockets, forks the workers and answers no request. It starts a
worker that died again, on the same socket, so that no connection in its queue is lost. Each of
several workers has a socket of its own on the port, among which the kernel spreads connections.
"""

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import NamedTuple, NoReturn, Protocol

import uvloop

KILL_AFTER_S = 30.0
"""A worker that has not stopped by then is killed; its holds are recovered by the others."""

ANSWER_AFTER_S = 20.0
"""How long workers may take to say that they have the new settings."""

RESTART_AFTER_S = 0.5
"""A worker that died is started again after this, so that one that cannot live costs little."""

WORD_BYTES_MAX = 500
"""Of what a worker says; every system writes as much to a pipe in one piece (POSIX: 512)."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD)


class Post(NamedTuple):
    """What a worker is given, inside its running loop."""

    listening: socket.socket
    ready: Callable[[], None]
    """To be called once it can answer."""
    stop: asyncio.Event
    """Set when it is to end: finish what is under way, then return."""
    reload: asyncio.Event
    """Set when there are new settings; whoever takes them clears the event."""
    answer: Callable[[str], None]
    """Says in one line what became of them; empty: they are in force."""


Work = Callable[[Post], Coroutine[None, None, None]]


class Rollout(Protocol):
    """New settings on their way to the workers. Called in the supervising process."""

    def prepare(self) -> bool:
        """Have them ready for the workers; False: there is nothing that they should take."""

    def finish(self, answers: Mapping[int, str]) -> None:
        """What the workers said, by process id."""

    def kill_after_s(self) -> float:
        """A worker that has not stopped by then is killed."""


class NoRollout:
    """Settings that never change."""

    def prepare(self) -> bool:
        """See `Rollout`."""
        return True

    def finish(self, answers: Mapping[int, str]) -> None:
        """See `Rollout`."""

    def kill_after_s(self) -> float:
        """See `Rollout`."""
        return KILL_AFTER_S


def supervise(
    work: Work,
    *,
    host: str,
    port: int,
    workers: int,
    announce: Callable[[], None],
    rollout: Rollout | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP makes the workers take new settings.

    `work` runs once in each worker process; `announce` in this one, when all are ready. Returns
    the exit status: 1 if a worker could not start.
    """
    sockets = open_sockets(host, port, workers)
    return _Supervisor(work, sockets, announce, rollout or NoRollout()).run()


def open_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Listening sockets on one address.

    Raises:
        OSError: it cannot be listened on.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened: list[socket.socket] = []
    for _ in range(count):
        opened.append(
            socket.create_server(
                address[:2],
                family=family,
                backlog=1,  # until its worker says how many
                reuse_port=count > 1,
                dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
            )
        )
        opened[-1].setblocking(False)
    return opened


class _Supervisor:
    """The state of the processes."""

    def __init__(
        self,
        work: Work,
        sockets: Sequence[socket.socket],
        announce: Callable[[], None],
        rollout: Rollout,
    ) -> None:
        self._work = work
        self._sockets = sockets
        self._announce = announce
        self._rollout = rollout
        self._answers: dict[int, str] = {}
        self._unanswered: set[int] = set()
        """Workers that have been told of new settings."""
        self._answer_by = float("inf")
        self._asked_again = False
        self._announced = False
        self._stopping = False
        self._failed = False
        self._kill_at = float("inf")
        self._running: dict[int, int] = {}
        """The index of the socket, by process id."""
        self._ready: set[int] = set()
        self._restarts: list[tuple[float, int]] = []
        """When to start a worker on which socket."""
        self._words, self._words_end = os.pipe()
        """What workers say: lines of a process id and a word."""
        # Workers notice the end of the supervisor, however it comes, by the end of this pipe.
        self._alive_end, self._alive = os.pipe()

    def run(self) -> int:
        """Until all workers have ended."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, _heard)
        gc.collect()
        gc.freeze()  # what workers share with this process is not copied by a collection
        for index in range(len(self._sockets)):
            self._start(index)
        while self._running or self._restarts:
            readable, _, _ = select.select([woken, self._words], [], [], self._patience_s())
            if woken in readable:
                for heard in os.read(woken, 64):
                    self._hear(heard)
            if self._words in readable:
                self._listen()
            self._bury()
            self._conclude()
            self._restart()
        return int(self._failed)

    def _start(self, index: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            raise
        if pid == 0:
            os.close(self._alive)
            for other, listening in enumerate(self._sockets):
                if other != index:
                    listening.close()
            _live(self._work, self._sockets[index], self._words_end, self._alive_end)
        self._running[pid] = index
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _patience_s(self) -> float | None:
        due = [self._kill_at, self._answer_by, *(at for at, _ in self._restarts)]
        soonest = min(due)
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())

    def _hear(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload()
        elif number in STOP_SIGNALS and not self._stopping:
            self._stop()
        elif number == signal.SIGINT:
            self._tell(signal.SIGKILL)  # asked twice by a person at the keyboard

    def _stop(self) -> None:
        self._stopping = True
        self._restarts.clear()
        self._kill_at = time.monotonic() + self._rollout.kill_after_s()
        for listening in self._sockets:
            listening.close()
        self._tell(signal.SIGTERM)

    def _tell(self, number: int) -> None:
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reload(self) -> None:
        if self._stopping:
            return
        if self._unanswered:
            self._asked_again = True  # one after the other
        elif self._rollout.prepare():
            self._answers.clear()
            self._unanswered = set(self._running)
            self._answer_by = time.monotonic() + ANSWER_AFTER_S
            self._tell(signal.SIGHUP)

    def _conclude(self) -> None:
        """A reload ends when all who still live have answered, or time is up."""
        waiting = self._unanswered & set(self._running)
        late = time.monotonic() >= self._answer_by
        if self._answer_by == float("inf") or (waiting and not late):
            return
        self._answer_by = float("inf")
        self._unanswered = set()
        self._rollout.finish({**self._answers, **dict.fromkeys(waiting, "has not answered yet")})
        if self._asked_again:
            self._asked_again = False
            self._reload()

    def _listen(self) -> None:
        said = os.read(self._words, 65536).decode(errors="replace")
        for line in said.splitlines():  # each was written whole
            pid, word, text = line.split(" ", 2)
            if word == "ready":
                self._ready.add(int(pid))
            elif int(pid) in self._unanswered:
                self._unanswered.discard(int(pid))
                self._answers[int(pid)] = text
        if not (self._announced or self._stopping) and self._ready >= set(self._running):
            self._announced = True
            self._announce()

    def _bury(self) -> None:
        for pid in list(self._running):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            index = self._running.pop(pid)
            if self._stopping:
                continue
            if not self._announced:
                self._failed = True  # it could not even start
                self._stop()
            else:
                self._restarts.append((time.monotonic() + RESTART_AFTER_S, index))
        if self._stopping and time.monotonic() >= self._kill_at:
            self._kill_at = float("inf")
            self._tell(signal.SIGKILL)

    def _restart(self) -> None:
        now = time.monotonic()
        due = [index for at, index in self._restarts if at <= now]
        self._restarts = [(at, index) for at, index in self._restarts if at > now]
        for index in due:
            try:
                self._start(index)
            except OSError as error:  # the machine is full; the other workers serve meanwhile
                sys.stderr.write(f"A worker could not be started again: {error}.\n")
                self._restarts.append((now + RESTART_AFTER_S, index))


def _heard(*_: object) -> None:
    """The wake-up pipe tells which signal came."""


def _live(work: Work, listening: socket.socket, words_end: int, alive_end: int) -> NoReturn:
    """The life of a worker process."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        uvloop.run(_serve(work, listening, words_end, alive_end))
        status = 0
    except BaseException:  # noqa: BLE001  # nothing of this process may run on in its parent's name
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


async def _serve(work: Work, listening: socket.socket, words_end: int, alive_end: int) -> None:
    loop = asyncio.get_running_loop()
    post = Post(
        listening,
        lambda: _say(words_end, "ready"),
        asyncio.Event(),
        asyncio.Event(),
        lambda text: _say(words_end, "reloaded", text),
    )
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, post.stop.set)
    loop.add_signal_handler(signal.SIGHUP, post.reload.set)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def orphaned() -> None:
        loop.remove_reader(alive_end)
        post.stop.set()

    loop.add_reader(alive_end, orphaned)
    await work(post)


def _say(words_end: int, word: str, text: str = "") -> None:
    line = f"{os.getpid()} {word} {' '.join(text.split())}"
    os.write(words_end, line.encode()[:WORD_BYTES_MAX] + b"\n")
