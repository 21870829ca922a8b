import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate import tool_names
from tollbridge.translate.tool_names import ToolNames


def test_short_names_stay_and_long_ones_come_back():
    names = ToolNames(64)
    assert names.shorten("Bash") == names.restore("Bash") == "Bash"
    long = "mcp__" + "a" * 123
    short = names.shorten(long)
    assert len(short) == 64
    assert short.startswith("mcp__aaa")
    assert names.restore(short) == long
    assert ToolNames(64).shorten(long) == short


def test_names_with_the_same_beginning_stay_apart():
    names = ToolNames(64)
    assert names.shorten("x" * 90) != names.shorten("x" * 91)


def test_names_that_cannot_be_told_apart_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tool_names, "_HASH_CHARS", 0)
    names = ToolNames(20)
    names.shorten("x" * 90)
    with pytest.raises(GatewayError) as caught:
        names.shorten("x" * 91)
    assert caught.value.code is ErrorCode.FIELD_INVALID
