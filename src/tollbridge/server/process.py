"""What the operating system allows this process, and what it has taken."""

import ctypes
import os
import resource
from pathlib import Path

from tollbridge.units import KEPT_BYTES_MAX, MIB

UNLIMITED = 1_000_000
"""File descriptors of a process that may have as many as it likes."""

MAPPED_BYTES_MIN = 4 * MIB
"""What is larger, and finds no room in what is kept, is mapped by itself and given back."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's `malloc.h`

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = resource.getpagesize()


def resident_bytes() -> int:
    """Memory of this process that is in use; 0 where the system does not say (no `/proc`)."""
    try:
        descriptor = os.open(_STATM, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(descriptor, 128).split()[1]) * _PAGE_BYTES
    finally:
        os.close(descriptor)


def raise_descriptors() -> int:
    """Take as many file descriptors as the system lets this process have. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # some systems have a lower limit than they say
            return soft
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def keep_freed_memory() -> bool:
    """Have the C library keep what bodies leave behind for those that follow: handing it back and
    taking it again costs a page fault for every 4 KiB, a tenth of the CPU of bodies of 1 MB.

    Left alone, glibc keeps twice as much as the largest block that it has seen freed, up to 64 MiB.
    Returns False where the library (musl's) has no such settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(setting, size) == 1
        for setting, size in (
            (_M_TRIM_THRESHOLD, KEPT_BYTES_MAX),
            (_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN),
        )
    )
