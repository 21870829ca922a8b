import msgspec
import pytest
from hypothesis import given
from msgspec import Raw
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.wire.messages.events import Delta, Event

DECODER = msgspec.json.Decoder(Event)


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"ping"}',
        '{"type":"message_stop","amazon-bedrock-invocationMetrics":{"x":1}}',
        '{"type":"content_block_stop","index":3}',
        '{"type":"event_of_tomorrow","payload":[1,2]}',
        '{"type":"content_block_start","index":1,"content_block":{"type":"hologram","depth":3}}',
        '{"type":"content_block_delta","index":1,"delta":{"type":"hologram_delta","depth":4}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":null}}',
        '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    ],
)
def test_events_known_and_unknown(data: str):
    assert data.startswith(f'{{"type":"{DECODER.decode(data).type}"')


def test_the_start_of_a_message():
    event = DECODER.decode(
        b'{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
        b'"model":"m","content":[],"stop_reason":null,"stop_sequence":null,'
        b'"usage":{"input_tokens":25,"output_tokens":1}}}'
    )
    assert event.message is not None
    assert (event.message.id, event.message.model) == ("msg_1", "m")
    assert event.message.usage is not None
    assert event.message.usage.input_tokens == 25


def test_deltas_of_every_kind():
    def delta(data: bytes) -> Delta:
        event = DECODER.decode(b'{"type":"content_block_delta","index":0,"delta":%s}' % data)
        assert event.delta is not None
        return event.delta

    assert delta(b'{"type":"text_delta","text":"Hi"}').text == "Hi"
    assert delta(b'{"type":"thinking_delta","thinking":"hm","estimated_tokens":5}').thinking == "hm"
    assert delta(b'{"type":"signature_delta","signature":"s"}').signature == "s"
    assert delta(b'{"type":"input_json_delta","partial_json":""}').partial_json == ""
    citation = delta(b'{"type":"citations_delta","citation":{"b" :1,"a":2}}').citation
    assert isinstance(citation, Raw)
    assert bytes(citation) == b'{"b" :1,"a":2}'


def test_the_end_of_a_message():
    event = DECODER.decode(
        b'{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"X",'
        b'"container":null},"usage":{"output_tokens":15}}'
    )
    assert event.delta is not None
    assert (event.delta.stop_reason, event.delta.stop_sequence) == ("stop_sequence", "X")
    assert event.usage is not None
    assert event.usage.output_tokens == 15
    assert event.usage.input_tokens is None


def test_only_what_is_there_is_written():
    event = Event(type="content_block_delta", delta=Delta(type="text_delta", text=""))
    assert msgspec.json.encode(event) == (
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":""}}'
    )


@given(any_json(*Event.__struct_fields__, *Delta.__struct_fields__))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
