import msgspec

from tollbridge.translate.blocks_to_text import (
    SUMMARY_CHARS_MAX,
    document_text,
    search_result_text,
    server_tool_text,
)
from tollbridge.wire.messages.requests import Block


def block(**members: object) -> Block:
    return msgspec.convert(members, Block)


def test_documents_with_text():
    source = {"type": "content", "content": [{"type": "text", "text": "a"}]}
    assert document_text(block(type="document", source=source)) == "a"
    source = {"type": "content", "content": "b"}
    assert document_text(block(type="document", title="T", source=source)) == "Document: T\n\nb"


def test_documents_without_text():
    for source in ({"type": "base64", "data": "JVBERi0"}, {"type": "url", "url": "u"}, "x", None):
        assert document_text(block(type="document", source=source)) is None


def test_search_results():
    content = [{"type": "text", "text": "found"}]
    found = block(type="search_result", title="T", source="S", content=content)
    assert search_result_text(found) == "Search result: T\nSource: S\n\nfound"
    assert search_result_text(block(type="search_result")) == ""


def test_results_of_server_tools_are_bounded_and_nested_ones_found():
    page = {"type": "document", "source": {"type": "text", "data": "x"}, "title": "Page"}
    result = block(
        type="web_fetch_tool_result", content={"type": "web_fetch_result", "content": page}
    )
    assert "- Page" in server_tool_text(result)
    error = block(type="web_search_tool_result", content={"type": "web_search_tool_result_error"})
    assert server_tool_text(error) == "\n[web_search result]\n\n"
    long = block(type="mcp_tool_result", content="y" * 10**6)
    assert len(server_tool_text(long)) < SUMMARY_CHARS_MAX + 100
