import msgspec
from msgspec import Raw

from tollbridge.translate import turn_views as views
from tollbridge.wire.chat.requests import ChatMessage


def test_a_turn_is_one_of_chat_which_has_all_members_of_messages():
    names = set(ChatMessage.__struct_encode_fields__)
    assert set(views.Turn.__struct_encode_fields__) <= names
    assert set(views.Spoken.__struct_encode_fields__) <= names


def test_turns_of_both_protocols():
    data = (
        b'[{"role":"assistant","content":[{"type":"tool_use","id":"t"}]},'
        b'{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function"}]}]'
    )
    turns = msgspec.json.decode(data, type=list[views.Turn])
    assert turns[0].content == Raw(b'[{"type":"tool_use","id":"t"}]')
    assert turns[1].tool_calls == [views.TurnCall("c")]


def test_the_usage_stands_in_three_places():
    usage = b'{"tokens":1}'
    for data in (b'{"usage":%b}', b'{"message":{"usage":%b}}', b'{"choices":[{"usage":%b}]}'):
        report = msgspec.json.decode(data % usage, type=views.UsageReport)
        held = [report.usage, *(holder.usage for holder in report.choices or ())]
        held += [report.message.usage] if report.message else []
        assert [raw for raw in held if raw != Raw(b"null")] == [Raw(usage)]
