import os
from typing import Any

import pytest
from granian.constants import Interfaces

from tollbridge.server import listener


def test_the_server_gets_the_address_and_announces_when_all_workers_are_ready(
    monkeypatch: pytest.MonkeyPatch,
):
    seen: dict[str, Any] = {}
    announced: list[int] = []

    class FakeServer:
        def __init__(self, target: str, **options: Any) -> None:
            seen.update(options)

        def serve(self, *, target_loader: Any, wrap_loader: bool) -> None:
            assert wrap_loader is False
            for worker in range(seen["workers"]):
                assert target_loader() == "application"
                assert announced == [], worker
            self.announcement()

    def load(ready: Any) -> Any:
        ready()
        return "application"

    monkeypatch.setattr(listener, "_Server", FakeServer)
    listener.listen(load, host="::1", port=9000, workers=3, announce=lambda: announced.append(1))
    assert announced == [1]
    assert (seen["address"], seen["port"], seen["workers"]) == ("::1", 9000, 3)
    assert seen["interface"] is Interfaces.ASGI
    assert seen["websockets"] is False
    assert seen["respawn_failed_workers"] is True


def test_nothing_is_announced_before_the_last_worker_is_ready():
    readable, writable = os.pipe()
    os.write(writable, b".")
    os.close(writable)
    announced: list[int] = []
    listener._announce(readable, 1, lambda: announced.append(1))
    os.close(readable)
    assert announced == [1]
