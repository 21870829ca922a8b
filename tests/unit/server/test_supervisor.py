"""Processes that are real: killed, stopped, broken. `tests/fakes/supervised.py` is the program."""

import errno
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

from tollbridge.server import supervisor as module
from tollbridge.server.supervisor import NoRollout, Post, open_sockets

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 20.0


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_one_socket_takes_any_free_port():
    (listening,) = open_sockets("127.0.0.1", 0, 1)
    with closing(listening), pytest.raises(OSError) as caught:
        open_sockets("127.0.0.1", listening.getsockname()[1], 1)
    assert caught.value.errno == errno.EADDRINUSE


def test_several_sockets_share_a_port():
    port = free_port()
    sockets = open_sockets("127.0.0.1", port, 3)
    assert [each.getsockname()[1] for each in sockets] == [port] * 3
    assert not any(each.getblocking() for each in sockets)
    for each in sockets:
        each.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_address_of_all_takes_both_families():
    (listening,) = open_sockets("::", 0, 1)
    with closing(listening):
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, listening.getsockname()[1])).close()


class Program:
    """The supervised program, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.go = folder / "go"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.said: list[str] = []

    def start(self, mode: str = "", workers: int = 1, *, until: str = "ready") -> None:
        arguments = [str(self.go), mode, str(workers), str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.supervised", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,  # so that `select` sees what is there
            start_new_session=True,
        )
        self.hear(until)

    def hear(self, word: str) -> str:
        """The next line that begins so."""
        assert self.process is not None
        assert self.process.stdout is not None
        while True:
            assert select.select([self.process.stdout], [], [], PATIENCE_S)[0], self.said
            line = self.process.stdout.readline().decode()
            assert line, self.said
            self.said.append(line)
            if line.startswith(word):
                return line

    def signal(self, number: int, *, group: bool = False) -> None:
        assert self.process is not None
        (os.killpg if group else os.kill)(self.process.pid, number)

    def status(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(PATIENCE_S)
        self.said += self.process.stdout.read().decode().splitlines()
        return status

    def connect(self, path: str) -> socket.socket:
        """A request on a connection of its own."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        return connection

    def ask(self) -> int:
        """The process id of a worker."""
        with self.connect("/") as connection:
            return int(read_all(connection).rpartition(b"\r\n\r\n")[2])

    def close(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < deadline
        sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    try:
        yield program
    finally:
        program.close()


@pytest.mark.slow
def test_a_killed_worker_is_started_again_and_no_request_is_refused(program: Program):
    program.start()
    first = program.ask()
    os.kill(first, signal.SIGKILL)
    second = program.ask()  # waits in the queue of the socket
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert program.ask() not in (first, second)
    program.signal(signal.SIGTERM)
    assert program.status() == 0


@pytest.mark.slow
def test_two_workers_share_the_port(program: Program):
    program.start(workers=2)
    pids = {program.ask() for _ in range(100)}
    assert len(pids) == 2
    program.signal(signal.SIGTERM)
    assert program.status() == 0
    assert {line for line in program.said if line.startswith("ended")} == {
        f"ended {pid}" for pid in pids
    }


@pytest.mark.slow
def test_a_stop_finishes_a_stream_and_refuses_new_connections(program: Program):
    program.start(workers=2)
    with program.connect("/stream") as streaming:
        assert streaming.recv(1)
        program.signal(signal.SIGTERM)
        until(lambda: is_refused(program.port))
        assert program.process is not None
        assert program.process.poll() is None
        program.go.touch()
        assert read_all(streaming).endswith(b"3\r\nend\r\n0\r\n\r\n")
    assert program.status() == 0


@pytest.mark.slow
def test_a_stop_while_workers_are_starting(program: Program):
    program.start("slow", until="starting")
    program.signal(signal.SIGTERM)
    program.hear("told")
    assert program.status() == 0
    assert "ready" not in program.said


@pytest.mark.slow
def test_workers_end_with_a_supervisor_that_was_killed(program: Program):
    program.start(workers=2)
    pids = {int(line.split()[1]) for line in program.said if line.startswith("starting")}
    assert len(pids) == 2
    program.signal(signal.SIGKILL)
    until(lambda: not any(is_running(pid) for pid in pids))
    assert is_refused(program.port)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_cannot_start(program: Program, workers: int):
    program.start("broken", workers, until="RuntimeError: this worker cannot start")
    assert program.status() == 1
    assert "ready\n" not in program.said


@pytest.mark.slow
def test_once_at_the_keyboard_waits_and_twice_does_not(program: Program):
    program.start()
    with program.connect("/stream") as streaming:
        assert streaming.recv(1)
        # A terminal sends it to the whole group.
        program.signal(signal.SIGINT, group=True)
        until(lambda: is_refused(program.port))
        assert program.process is not None
        assert program.process.poll() is None
        program.signal(signal.SIGINT, group=True)
        assert program.status() == 0
        assert not read_all(streaming).endswith(b"0\r\n\r\n")


def answers(line: str) -> dict[int, str]:
    pairs = (word.split(":") for word in line.split()[1:])
    return {int(pid): answer for pid, answer in pairs}


@pytest.mark.slow
def test_a_hang_up_is_told_to_every_worker_and_each_answers(program: Program):
    program.start(workers=2)
    program.signal(signal.SIGHUP)
    program.hear("asked 1")  # is refused: nobody is told
    program.signal(signal.SIGHUP)
    told = answers(program.hear("answers"))
    assert told == {pid: f"pid_{pid}" for pid in told}
    assert len(told) == 2
    os.kill(min(told), signal.SIGKILL)
    program.hear("starting")
    program.signal(signal.SIGHUP)
    again = answers(program.hear("answers"))
    assert len(again) == 2
    assert min(told) not in again
    program.signal(signal.SIGTERM)
    assert program.status() == 0
    assert sum(line.startswith("answers") for line in program.said) == 2


@pytest.mark.slow
def test_a_worker_that_dies_before_it_answers_holds_nobody_up(program: Program):
    program.start("deaf")
    pid = program.ask()
    program.signal(signal.SIGHUP)
    program.hear("asked 1")
    for _ in range(2):
        program.signal(signal.SIGHUP)  # the last one waits for the one before it
    program.hear("asked 2")
    os.kill(pid, signal.SIGKILL)
    assert answers(program.hear("answers")) == {}
    program.signal(signal.SIGTERM)
    assert program.status() == 0


def test_a_worker_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ANSWER_AFTER_S", 0.0)
    told: list[Mapping[int, str]] = []

    class Silent(NoRollout):
        def finish(self, answers: Mapping[int, str]) -> None:
            told.append(answers)

    supervisor = module._Supervisor(idle, [], lambda: None, Silent())
    supervisor._running = {2**22 + 1: 0}  # above every process id
    supervisor._reload()
    supervisor._conclude()
    assert told == [{2**22 + 1: "has not answered yet"}]
    assert supervisor._patience_s() is None


def test_a_worker_for_which_there_is_no_room_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    supervisor = module._Supervisor(idle, [], lambda: None, NoRollout())
    supervisor._restarts = [(0.0, 1)]
    monkeypatch.setattr(os, "fork", full)
    supervisor._restart()
    ((at, index),) = supervisor._restarts
    assert (at > monotonic(), index) == (True, 1)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(module.STOP_SIGNALS)
    assert "could not be started again" in capsys.readouterr().err
    monkeypatch.setattr(os, "fork", lambda: 2**22 + 1)
    supervisor._restarts = [(0.0, 1)]
    supervisor._restart()
    assert (supervisor._running, supervisor._restarts) == ({2**22 + 1: 1}, [])


async def idle(_: Post) -> None:
    """Serves nobody."""
