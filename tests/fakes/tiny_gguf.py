"""A language model of a third of a megabyte, for the real engine: it babbles in whole words.

The weights are random but for two tricks. The first dimension of every embedding is one large
constant that no layer touches, so that the output layer's weights for it act as a bias for each
token: words are likely, bytes that break UTF-8 never come, a turn ends after a few dozen tokens.
And the end of a turn looks like the end of a tool call, so that it mostly follows one.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WIDTH = 64
HEADS = 4
FEED_FORWARD = 128
CONSTANT = 4.0
SPREAD = 0.5
ALIGNMENT = 32
NEVER = -40.0

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "as",
    "with",
    "his",
    "they",
    "be",
    "at",
    "one",
    "have",
    "this",
    "from",
    "or",
    "had",
    "by",
    "hot",
    "but",
    "some",
    "what",
    "there",
    "we",
    "can",
    "out",
    "other",
    "were",
    "all",
    "your",
    "when",
    "up",
    "use",
    "word",
    "how",
    "said",
    "an",
    "each",
    "she",
    "river",
    "bridge",
    "toll",
    "stone",
    "water",
    "boat",
    "ferry",
    "north",
    "wind",
    "light",
    "morning",
    "road",
    "town",
    "market",
    "bread",
]

TEMPLATE = """\
{%- if messages[0].role == 'system' %}{% set first = messages[0].content + '\n' %}
{%- else %}{% set first = '' %}{% endif %}
{%- if tools %}
{{- '<|im_start|>system\n' + first + '# Tools\n\nYou may call functions.\n<tools>' }}
{%- for tool in tools %}{{- '\n' + (tool | tojson) }}{% endfor %}
{{- '\n</tools>\n\nFor each call, return a JSON object within <tool_call></tool_call> tags:\n' }}
{{- '<tool_call>{"name": <name>, "arguments": <arguments>}</tool_call><|im_end|>\n' }}
{%- elif first %}
{{- '<|im_start|>system\n' + first + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'system' and not loop.first %}
{{- raise_exception('System message must be at the beginning.') }}
{%- elif message.role == 'user' %}
{{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' }}
{%- if message.reasoning_content %}
{{- '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}
{%- endif %}
{%- if message.content %}{{- message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
{{- '}</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}
{%- else %}
{{- '<think>\n' }}
{%- endif %}
{%- endif %}
"""
"""In the manner of Qwen: Hermes tool calls, thinking that can be switched off, and an exception
for a system message that is not the first."""

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
TAG_BIASES = {"</think>": 1.0, "<tool_call>": 1.5, "</tool_call>": 0.0}
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Token types of the format."""


def write_tiny_gguf(path: Path, *, context: int, seed: int = 1) -> None:
    """Write the model to a file."""
    tokens, types, merges, biases = _vocabulary()
    end_of_call, end_of_turn = tokens.index("</tool_call>"), tokens.index("<|im_end|>")
    tensors = list(_tensors(biases, (end_of_call, end_of_turn), random.Random(seed)))
    values: list[tuple[str, object]] = [
        ("general.architecture", "llama"),
        ("general.name", "tiny"),
        ("general.alignment", ALIGNMENT),
        ("llama.context_length", context),
        ("llama.embedding_length", WIDTH),
        ("llama.block_count", 1),
        ("llama.feed_forward_length", FEED_FORWARD),
        ("llama.attention.head_count", HEADS),
        ("llama.attention.layer_norm_rms_epsilon", 1e-5),
        ("llama.rope.dimension_count", WIDTH // HEADS),
        ("llama.vocab_size", len(tokens)),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.pre", "gpt-2"),
        ("tokenizer.ggml.tokens", tokens),
        ("tokenizer.ggml.token_type", types),
        ("tokenizer.ggml.merges", merges),
        ("tokenizer.ggml.eos_token_id", tokens.index("<|im_end|>")),
        ("tokenizer.ggml.padding_token_id", tokens.index("<|endoftext|>")),
        ("tokenizer.ggml.add_bos_token", False),
        ("tokenizer.chat_template", TEMPLATE),
    ]
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)))
    for key, value in values:
        head += _text(key) + _value(value)
    data = bytearray()
    for name, shape, floats in tensors:
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0, len(data))  # 0: 32-bit floats
        data += struct.pack(f"<{len(floats)}f", *floats)
        data += bytes(-len(data) % ALIGNMENT)
    head += bytes(-len(head) % ALIGNMENT)
    path.write_bytes(head + data)


def _byte_letters() -> list[str]:
    """The printable character by which a byte-level vocabulary writes each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _vocabulary() -> tuple[list[str], list[int], list[str], list[float]]:
    """Tokens, their types, the merges that make words of bytes, and how likely each token is."""
    letters = _byte_letters()
    tokens = list(letters)
    biases = [_byte_bias(byte) for byte in range(256)]
    merges = []
    for word in WORDS:
        left = letters[ord(" ")]
        for letter in word:
            if left + letter not in tokens:
                merges.append(f"{left} {letter}")
                tokens.append(left + letter)
                biases.append(NEVER)
            left += letter
        biases[tokens.index(left)] = 0.0
    types = [NORMAL] * len(tokens)
    for text in SPECIALS:
        tokens.append(text)
        types.append(CONTROL)
        biases.append(2.0 if text == "<|im_end|>" else NEVER)
    for text in TAGS:
        tokens.append(text)
        types.append(USER_DEFINED)
        biases.append(TAG_BIASES.get(text, NEVER))
    return tokens, types, merges, biases


def _byte_bias(byte: int) -> float:
    text = chr(byte)
    if text == '"':
        return 1.0
    if text in "<,":
        return -9.0  # the tags are tokens of their own; after a call the grammar offers a comma
    if text.isascii() and text.isalnum():
        return -1.0
    return -2.0 if 32 <= byte < 127 else NEVER


class Tensor(NamedTuple):
    """Rows of 32-bit floats; the shape has the columns first."""

    name: str
    shape: tuple[int, ...]
    floats: list[float]


def _tensors(
    biases: list[float], follows: tuple[int, int], entropy: random.Random
) -> Iterator[Tensor]:
    size = len(biases)

    def gauss(columns: int, rows: int, spread: float, first: str = "") -> list[float]:
        """Rows of random weights; `first` keeps the constant out of, or out of the way of, rows."""
        floats = [entropy.gauss(0, spread) for _ in range(columns * rows)]
        if first == "column":
            for row in range(rows):
                floats[row * columns] = 0.0
        elif first == "row":
            floats[:columns] = [0.0] * columns
        return floats

    embedding = gauss(WIDTH, size, SPREAD)
    output = gauss(WIDTH, size, 0.3)
    # What the constant is after the last norm, roughly: the other dimensions grow a little.
    constant = CONSTANT / ((CONSTANT**2 + (WIDTH - 1) * SPREAD**2) / WIDTH) ** 0.5
    for token, bias in enumerate(biases):
        embedding[token * WIDTH] = CONSTANT
        output[token * WIDTH] = bias / constant
    before, after = (token * WIDTH for token in follows)
    for dimension in range(1, WIDTH):
        output[after + dimension] += 1.5 * embedding[before + dimension]
    ones = [1.0] * WIDTH
    yield Tensor("token_embd.weight", (WIDTH, size), embedding)
    yield Tensor("output_norm.weight", (WIDTH,), ones)
    yield Tensor("output.weight", (WIDTH, size), output)
    yield Tensor("blk.0.attn_norm.weight", (WIDTH,), ones)
    yield Tensor("blk.0.ffn_norm.weight", (WIDTH,), ones)
    for name in ("attn_q", "attn_k", "attn_v"):
        yield Tensor(f"blk.0.{name}.weight", (WIDTH, WIDTH), gauss(WIDTH, WIDTH, 0.1, "column"))
    yield Tensor("blk.0.attn_output.weight", (WIDTH, WIDTH), gauss(WIDTH, WIDTH, 0.1, "row"))
    for name in ("ffn_gate", "ffn_up"):
        yield Tensor(
            f"blk.0.{name}.weight", (WIDTH, FEED_FORWARD), gauss(WIDTH, FEED_FORWARD, 0.1, "column")
        )
    yield Tensor(
        "blk.0.ffn_down.weight", (FEED_FORWARD, WIDTH), gauss(FEED_FORWARD, WIDTH, 0.1, "row")
    )


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: object) -> bytes:
    """A value after its type: 4 unsigned, 5 signed, 6 float, 7 flag, 8 text, 9 list."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    assert isinstance(value, list), value
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_text(item) for item in value)
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
