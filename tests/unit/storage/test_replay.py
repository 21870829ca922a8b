import pytest

from tollbridge.storage.replay import ReplaySession, UnreadError


def test_what_is_not_known_is_asked_for() -> None:
    session = ReplaySession()
    with pytest.raises(UnreadError, match="window") as missing:
        session.rows("window", "acme", "")
    assert missing.value.read == ("window", "acme", "")
    session.known[missing.value.read] = [(1, 2, 3)]
    assert session.row("window", "acme", "") == (1, 2, 3)


def test_nothing_found_is_known_too() -> None:
    session = ReplaySession()
    session.known["window", "acme", ""] = []
    assert session.row("window", "acme", "") is None


def test_writes_are_kept_in_order() -> None:
    session = ReplaySession()
    session.write("a", (1,), (2,))
    session.write("nothing")
    session.write("b", (3,))
    assert session.writes == [("a", ((1,), (2,))), ("b", ((3,),))]
