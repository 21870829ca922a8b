import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tollbridge.server import process
from tollbridge.server.process import UNLIMITED, raise_descriptors, resident_bytes
from tollbridge.units import MIB


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_memory_in_use_is_counted():
    before = resident_bytes()
    assert before > 5 * MIB
    much = b"x" * (64 * MIB)
    assert resident_bytes() - before > 32 * MIB
    assert len(much)


def test_a_system_that_does_not_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(process, "_STATM", tmp_path / "none")
    assert resident_bytes() == 0


def test_the_soft_limit_becomes_the_hard_one():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    assert raise_descriptors() == (UNLIMITED if hard == resource.RLIM_INFINITY else hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_system_that_allows_less_than_it_says(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptors() == 256


def test_a_system_without_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert raise_descriptors() == UNLIMITED


FAULTS = """
import resource
from tollbridge.server.process import keep_freed_memory

def bodies(size, count):
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        kept = [bytearray(b"x") * size for _ in range(count)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert bodies(1_000_000, 8) > 1_000
assert keep_freed_memory()
assert bodies(1_000_000, 8) < 100
assert bodies(30_000_000, 1) > 1_000
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_memory_of_bodies_is_kept_and_that_of_huge_ones_is_not():
    subprocess.run([sys.executable, "-c", FAULTS], check=True)


def test_a_library_without_these_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not process.keep_freed_memory()
