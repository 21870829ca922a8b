from typing import Any

import pytest
from granian.constants import Interfaces

from tollbridge.server import listener


def test_the_server_gets_the_address_and_the_loader(monkeypatch: pytest.MonkeyPatch):
    seen: dict[str, Any] = {}

    class FakeServer:
        def __init__(self, target: str, **options: Any) -> None:
            seen.update(options)

        def serve(self, **options: Any) -> None:
            seen.update(options)

    def load() -> Any:
        raise AssertionError("only a worker process loads")

    monkeypatch.setattr(listener, "Server", FakeServer)
    listener.listen(load, host="::1", port=9000, workers=3)
    assert (seen["address"], seen["port"], seen["workers"]) == ("::1", 9000, 3)
    assert seen["interface"] is Interfaces.ASGI
    assert seen["target_loader"] is load
    assert seen["websockets"] is False
    assert seen["respawn_failed_workers"] is True
