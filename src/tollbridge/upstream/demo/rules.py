"""The rules that span several members of a request, in the vendor's words.

Sources: protocol notes A.3 (`max_tokens: 0`, stop sequences, thinking budget) and the ordering
rules of A.4.
"""

from collections.abc import Iterator

from tollbridge.upstream.demo.request import (
    InvalidRequestError,
    Message,
    Prompt,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)

_MESSAGES_MAX = 100_000
_BUDGET_MIN = 1_024


def check(prompt: Prompt) -> None:
    """Refuse what the real service would refuse.

    Raises:
        InvalidRequestError: a rule is broken; the message begins with the field's path.
    """
    for complaint in _complaints(prompt):
        raise InvalidRequestError(complaint)


def _complaints(prompt: Prompt) -> Iterator[str]:
    yield from _about_messages(prompt.messages)
    yield from _about_calls(prompt.messages)
    yield from _about_tools(prompt)
    yield from _about_output(prompt)


def _about_messages(messages: tuple[Message, ...]) -> Iterator[str]:
    spoken = [message for message in messages if message.role != "system"]
    if not spoken:
        yield "messages: at least one message is required"
    if len(messages) > _MESSAGES_MAX:
        yield f"messages: at most {_MESSAGES_MAX} messages are allowed"
    if spoken and spoken[0].role != "user":
        yield 'messages: first message must use the "user" role'
    for index, message in enumerate(messages):
        if not message.blocks and not (message.role == "assistant" and message is messages[-1]):
            yield f"messages.{index}.content: all messages must have non-empty content"
        for place, block in enumerate(message.blocks):
            if isinstance(block, TextBlock) and not block.text:
                yield f"messages.{index}.content.{place}.text: text blocks must be non-empty"
    if spoken and spoken[-1].role == "assistant" and spoken[-1].text[-1:].isspace():
        yield "messages: final assistant content cannot end with trailing whitespace"


def _about_calls(messages: tuple[Message, ...]) -> Iterator[str]:
    """Every call is answered in the next user turn; consecutive turns of one role are one."""
    open_calls: set[str] = set()
    caller = 0
    last = ""
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "assistant" and last == "user" and open_calls:
            break
        if message.role == "assistant" and last != "assistant":
            caller = index
        for place, block in enumerate(message.blocks):
            if isinstance(block, ToolUseBlock):
                if message.role != "assistant":
                    yield f"messages.{index}.content.{place}: tool_use is for assistant messages"
                open_calls.add(block.id)
            elif isinstance(block, ToolResultBlock):
                if message.role != "user" or block.tool_use_id not in open_calls:
                    yield (
                        f"messages.{index}.content.{place}: unexpected `tool_use_id` found in "
                        f"`tool_result` blocks: {block.tool_use_id}. Each `tool_result` block must "
                        "have a corresponding `tool_use` block in the previous message."
                    )
                open_calls.discard(block.tool_use_id)
        last = message.role
    if open_calls:
        yield (
            f"messages.{caller}: `tool_use` ids were found without `tool_result` blocks "
            f"immediately after: {', '.join(sorted(open_calls))}. Each `tool_use` block must have "
            "a corresponding `tool_result` block in the next message."
        )


def _about_tools(prompt: Prompt) -> Iterator[str]:
    names = [tool.name for tool in prompt.tools if tool.name]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    for index, tool in enumerate(prompt.tools):
        if tool.name is None or tool.type not in {None, "custom"}:
            continue
        if tool.input_schema is None:
            yield f"tools.{index}.input_schema: Field required"
        elif tool.input_schema.get("type") != "object":
            yield f"tools.{index}.input_schema.type: Input should be 'object'"
    choice = prompt.tool_choice
    if choice.type == "tool" and choice.name is None:
        yield "tool_choice.name: Field required"
    if choice.type in {"any", "tool"} and not prompt.tools:
        yield f"tool_choice.{choice.type}: may only be specified while providing tools"
    elif choice.type == "tool" and choice.name not in names:
        yield f"tool_choice.name: Tool '{choice.name}' not found in provided tools"


def _about_output(prompt: Prompt) -> Iterator[str]:
    for index, sequence in enumerate(prompt.stop_sequences):
        if not sequence.strip():
            yield f"stop_sequences.{index}: each stop sequence must contain non-whitespace"
    thinking, limit = prompt.thinking, prompt.max_tokens
    if thinking.type == "enabled":
        if thinking.budget_tokens is None:
            yield "thinking.enabled.budget_tokens: Field required"
        elif thinking.budget_tokens < _BUDGET_MIN:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        elif limit is not None and 0 < limit <= thinking.budget_tokens:
            yield "max_tokens: must be greater than `thinking.budget_tokens`"
    forced = prompt.tool_choice.type in {"any", "tool"}
    if forced and thinking.type == "enabled":
        yield "thinking: Thinking may not be enabled when tool_choice forces tool use."
    if limit == 0:
        barred = {
            "stream": prompt.stream,
            "thinking": thinking.type == "enabled",
            "output_config.format": prompt.schema is not None,
            "tool_choice": forced,
        }
        for field in (field for field, given in barred.items() if given):
            yield f"max_tokens: 0 cannot be combined with {field}"
