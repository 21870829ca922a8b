from tollbridge.translate.unknown_names import NAME_CHARS_MAX, NAMES_MAX, UnknownNames


def test_each_name_once_in_order():
    unknown = UnknownNames()
    for name in ("b", "a", "b"):
        unknown.note("messages event", name)
    assert unknown.names() == [("messages event", "b"), ("messages event", "a")]


def test_bounded():
    unknown = UnknownNames()
    for index in range(100):
        unknown.note("chat part", f"{index}{'x' * 1_000}")
    assert len(unknown.names()) == NAMES_MAX
    assert all(len(name) == NAME_CHARS_MAX for _, name in unknown.names())
