"""A client that hangs up: the engine stops generating at once, and what was delivered is paid."""

import time

import pytest
from tests.engine.conftest import MODEL, Engine

PATIENCE_S = 10
ENDLESS = {"ignore_eos": True, "logit_bias": [[" boat", 100]]}
"""Members of llama.cpp's own that keep it generating to the end of its window."""


def wait_until(done: bool, engine: Engine) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while engine.busy() is not done and time.monotonic() < deadline:
        time.sleep(0.02)
    return engine.busy() is done
