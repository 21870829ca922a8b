from tests.unit.translate.chat_streams import check_order, events_of

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.event_writer import EventWriter
from tollbridge.usage import TokenUsage


def test_a_message_is_written_event_by_event():
    writer = EventWriter()
    writer.begin("abc", "m", TokenUsage(input=3))
    writer.start_block(b'{"type":"text","text":""}', b'"delta":{"type":"text_delta","text":')
    writer.write('a "quoted"\n line, 你好')
    writer.stop_block()
    writer.end("stop_sequence", "END", TokenUsage(input=3, output=2))
    written = writer.drain()
    assert b"\n\n\n" not in written
    events = events_of(written)
    check_order(events)
    assert events[2]["delta"]["text"] == 'a "quoted"\n line, 你好'
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert writer.drain() == b""


def test_what_is_counted_is_what_was_generated():
    writer = EventWriter()
    writer.start_block(b"{}")
    writer.write("word " * 8)
    shown = writer.counted
    writer.count("word " * 8)
    assert 0 < shown < writer.counted


def test_an_error_is_an_event():
    writer = EventWriter()
    writer.fail(GatewayError(ErrorCode.UPSTREAM_FAILED, "No."), "req_1")
    assert events_of(writer.drain())[0]["request_id"] == "req_1"
