import pytest

from tollbridge.wire import header_names as module
from tollbridge.wire.header_names import name_in_lower_case


def test_names_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "NAMES", {})
    monkeypatch.setattr(module, "HEADER_NAMES_MAX", 2)
    for name in (b"L" * 100, b"A", b"B", b"C", b"A"):
        assert name_in_lower_case(name) == name.decode().lower()
    assert module.NAMES == {b"A": "a", b"B": "b"}
