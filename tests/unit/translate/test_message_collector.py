from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.message_collector import MessageCollector, Writer
from tollbridge.usage import TokenUsage


def collected(block: bytes, *pieces: str) -> MessageCollector:
    collector = MessageCollector()
    writer: Writer = collector
    writer.begin("abc", "m", TokenUsage())
    writer.start_block(block)
    for piece in pieces:
        writer.write(piece)
    writer.stop_block()
    return collector


def test_tool_input_is_json_empty_or_the_text_of_what_was_cut():
    use = b'{"type":"tool_use","id":"a","name":"f","input":{}}'
    for pieces, expected in (
        (('{"a"', ":1}"), b'{"a":1}'),
        ((" ",), b"{}"),
        (('{"a',), b'"{\\"a"'),
    ):
        message = collected(use, *pieces).message
        assert bytes(message.content[0].input) == expected


def test_thinking_is_signed():
    collector = MessageCollector()
    collector.start_block(b'{"type":"thinking","thinking":"","signature":""}')
    collector.write("t")
    collector.sign("tb1.x")
    collector.stop_block()
    block = collector.message.content[0]
    assert (block.thinking, block.signature) == ("t", "tb1.x")


def test_the_end_completes_the_message():
    collector = collected(b'{"type":"text","text":""}', "a", "b")
    collector.end("refusal", None, TokenUsage(output=4))
    assert collector.message.content[0].text == "ab"
    assert collector.message.stop_details is not None
    assert collector.message.usage.output_tokens == 4
    assert collector.counted == 1


def test_nothing_is_sent_meanwhile():
    collector = MessageCollector()
    collector.fail(GatewayError(ErrorCode.INTERNAL, "x"), "r")
    assert collector.drain() == b""
