"""Protocol notes F, the list of real translation bugs: where the test of each report stands.

Every line of the list, every report on a line. Paths are below `tests`, tests are named after
their reports.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
STREAMS = "regressions/test_stream_to_messages.py"
ANSWERS = "regressions/test_answers.py"
REQUESTS = "regressions/test_requests.py"
SSE = "unit/wire/test_sse.py"
TO_CHAT = "unit/translate/test_stream_to_chat.py"
CONTENT_TO_CHAT = "unit/translate/test_content_to_chat.py"
REQUEST_TO_CHAT = "unit/translate/test_request_to_chat.py"
CONTENT_TO_MESSAGES = "unit/translate/test_content_to_messages.py"
REQUEST_TO_MESSAGES = "unit/translate/test_request_to_messages.py"
COUNTING = "unit/translate/test_counting.py"
PROMPTS = "unit/translate/test_prompt_features.py"

WAITING = {
    56: "Responses: `web_search` and `namespace` tool entries are ignored",
    57: "Responses: a namespace is split again on the way back",
}
"""Lines on Codex, which speaks Responses: they get their tests with that vocabulary."""

REPORTS: dict[int, dict[str, str]] = {
    # Line: report, test.
    1: {"litellm 15307": STREAMS},
    2: {"headroom 2890": STREAMS},
    3: {"litellm 33224": STREAMS},
    4: {"litellm 32357": STREAMS},
    5: {"litellm 29533": STREAMS, "litellm 29600": ANSWERS},
    6: {"litellm 13373": STREAMS},
    7: {"vllm 39056": STREAMS, "cooperbench 66": ANSWERS},
    8: {"ik_llama 1524": STREAMS},
    9: {"ollama 14816": STREAMS},
    10: {"ollama 17225": STREAMS},
    11: {"ollama 15105": STREAMS},
    12: {"litellm 25321": ANSWERS},
    13: {"antseed 15": STREAMS, "ccrelay 119": ANSWERS},
    14: {"cc_switch 2557": STREAMS},
    15: {"litellm 32004": STREAMS},
    16: {"weave_os 250": STREAMS},
    17: {"cliproxy 1700": STREAMS},
    18: {"ollama 13934": STREAMS},
    19: {"litellm 32159": STREAMS},
    20: {"billion_context 239": STREAMS, "maka 2297": ANSWERS},
    21: {"talon 254": STREAMS},
    22: {"litellm 17254": TO_CHAT},
    23: {"litellm 5231": TO_CHAT},
    24: {"litellm 13834": STREAMS},
    25: {"claude_code_router 1672": SSE},
    26: {"praxis 739": SSE},
    27: {"ccs 1359": SSE},
    28: {"codex_lb 1011": SSE},
    29: {"llm_gateway 2053": SSE},
    30: {"litellm 17473": SSE},
    31: {"ollama 14828": "unit/translate/test_failures.py"},
    32: {"vllm 34745": CONTENT_TO_CHAT},
    33: {"litellm 28995": CONTENT_TO_CHAT},
    34: {
        "vllm 44000": CONTENT_TO_CHAT,
        "sglang 28792": REQUESTS,
        "qwen 2244": REQUESTS,
        "grok2api 595": REQUESTS,
        "claude_code 63469": REQUESTS,
    },
    35: {"claude_code 77698": CONTENT_TO_CHAT},
    36: {
        "vllm 36829": REQUEST_TO_CHAT,
        "sglang 21064": REQUESTS,
        "ollama 14918": REQUESTS,
        "vllm_mlx 277": REQUESTS,
        "claude_code 68900": REQUESTS,
    },
    37: {"ollama 2026_03_27": CONTENT_TO_CHAT},
    38: {"litellm 30557": "unit/translate/test_tools_to_chat.py"},
    39: {
        "free_claude_code 1307": "unit/translate/test_tools_to_chat.py",
        "free_claude_code 1730": "unit/translate/test_schemas.py",
    },
    40: {"openclaude 878": CONTENT_TO_CHAT, "openclaw 73417": REQUESTS, "9router 355": REQUESTS},
    41: {"claude_code 21595": REQUEST_TO_CHAT},
    42: {"copilot_api 210": PROMPTS, "litellm 37102": REQUESTS, "cliproxy 679": PROMPTS},
    43: {"litellm 13252": PROMPTS, "stdapi 297": PROMPTS},
    44: {"portkey 980": CONTENT_TO_MESSAGES},
    45: {
        "vercel_ai 5576": CONTENT_TO_MESSAGES,
        "litellm 22930": "unit/translate/test_parts_to_messages.py",
    },
    46: {"litellm 36559": CONTENT_TO_MESSAGES},
    47: {"litellm 18926": REQUEST_TO_MESSAGES},
    48: {"nanobot 4356": CONTENT_TO_MESSAGES, "command_code 323": REQUESTS},
    49: {
        "cliproxyapi 570": "unit/translate/test_identity.py",
        "cliproxyapi 1584": CONTENT_TO_MESSAGES,
        "omniroute 12105": REQUESTS,
        "krouter 11": REQUESTS,
    },
    50: {"litellm 17737": "unit/wire/messages/test_fold.py", "litellm 18137": REQUESTS},
    51: {"litellm 19444": "unit/translate/test_schemas_to_messages.py"},
    52: {"ogx 6415": COUNTING, "praxis_ai 387": ANSWERS, "omlx 1487": ANSWERS},
    53: {"cliproxy 2281": COUNTING},
    54: {"router 1681": ANSWERS},
    55: {"ollama 14127": PROMPTS},
}


@cache
def names_in(path: str) -> list[str]:
    """The names that pytest collects from a file: top-level functions that nothing hides."""
    tree = ast.parse((TESTS / path).read_text())
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    assert len(names) == len(set(names)), f"{path}: a test hides another of its name"
    return names


def test_the_list_is_complete():
    assert sorted([*REPORTS, *WAITING]) == list(range(1, 58))


@pytest.mark.parametrize(
    ("report", "path"),
    [pair for line in REPORTS.values() for pair in line.items()],
)
def test_every_report_has_its_test(report: str, path: str):
    name = report.replace(" ", "_")
    assert Path(path).name.startswith("test_")
    assert any(f"_{name}_" in test for test in names_in(path)), f"{path} has no test of {report}"
