"""Content blocks that Chat has no word for, as text that a model can read (protocol notes C.3)."""

from msgspec import Raw

from tollbridge.wire.messages.requests import Block, Source

SUMMARY_CHARS_MAX = 20_000
"""What is kept of a server tool's result; the call was made by another server for another turn."""


def document_text(block: Block) -> str | None:
    """A document's text below a header of its title and context; None: it has no text."""
    source = block.source
    if not isinstance(source, Source):
        return None
    if source.type == "text":
        body = source.data
    elif source.type == "content":
        body = source.content if isinstance(source.content, str) else _texts(source.content)
    else:
        body = None
    if body is None:
        return None
    return _with_header([block.title and f"Document: {block.title}", block.context], body)


def search_result_text(block: Block) -> str:
    """A search result: title, source, text."""
    source = block.source if isinstance(block.source, str) else None
    title = block.title and f"Search result: {block.title}"
    return _with_header([title, source and f"Source: {source}"], _texts(block.content))


def server_tool_text(block: Block) -> str:
    """What a tool that ran on Anthropic's servers was asked and said."""
    if block.type in ("server_tool_use", "mcp_tool_use"):
        asked = bytes(block.input).decode() if isinstance(block.input, Raw) else ""
        return f"\n[called {block.name}: {asked}]\n"
    lines = _texts(block.content)[:SUMMARY_CHARS_MAX]
    return f"\n[{block.type.removesuffix('_tool_result')} result]\n{lines}\n"


def _texts(content: "str | list[Block] | Block | None") -> str:
    if content is None or isinstance(content, str):
        return content or ""
    blocks = content if isinstance(content, list) else [content]
    return "\n".join(line for block in blocks if (line := _line(block)))


def _line(block: Block) -> str:
    if block.text:
        return block.text
    if block.title or block.url:
        return f"- {block.title or 'untitled'} {block.url or ''}".rstrip()
    return _texts(block.content)


def _with_header(header: list[str | None], body: str) -> str:
    lines = "\n".join(line for line in header if line)
    return f"{lines}\n\n{body}" if lines else body
