"""What the operating system allows this process, and what it has taken."""

import os
import resource
from pathlib import Path

UNLIMITED = 1_000_000
"""File descriptors of a process that may have as many as it likes."""

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
