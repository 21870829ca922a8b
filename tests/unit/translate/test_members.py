"""Members are exchanged one by one; the rest keeps its bytes."""

from msgspec import Raw

from tollbridge.translate.members import ModelMember, has_member, read_members, write_member
from tollbridge.wire.codec import encode


def test_one_member_changes_and_the_others_keep_bytes_and_order() -> None:
    members = read_members(b'{"b": {"y" : 1.50, "x":[ ]}, "model": "a", "c": "\\u00e9"}')
    write_member(members, "model", "é")
    write_member(members, "new", value=True)
    assert encode(members).decode() == (
        '{"b":{"y" : 1.50, "x":[ ]},"model":"é","c":"\\u00e9","new":true}'
    )


def test_null_is_no_member() -> None:
    members = {"a": Raw(b"null"), "b": Raw(b"0")}
    assert [has_member(members, name) for name in "abc"] == [False, True, False]


def test_only_the_bare_model_member_is_renamed() -> None:
    data = b'{"content":"\\"model\\":\\"fake\\"","model" : "a\\"b","x":"model"}'
    assert ModelMember("new").put(data) == (
        b'{"content":"\\"model\\":\\"fake\\"","model":"new","x":"model"}'
    )


def test_a_name_with_backslashes_is_no_pattern() -> None:
    assert ModelMember("\\1\\g<0>").put(b'{"model":"a"}') == b'{"model":"\\\\1\\\\g<0>"}'


def test_each_event_may_spell_it_its_own_way() -> None:
    member = ModelMember("new")
    for data in (b'{"model":"a"}', b'{"model":"a"}', b'{"model": "b"}', b'{"model":"a"}'):
        assert member.put(data) == b'{"model":"new"}'
    assert member.put(b'{"id":"x"}') == b'{"id":"x"}'
