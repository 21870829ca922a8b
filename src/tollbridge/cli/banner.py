"""What `serve` says when it is ready: where it is, with what key, and a block to paste."""

from typing import NamedTuple

from tollbridge.cli.output import credits_text
from tollbridge.routing.catalog import OPERATOR_GROUP

DEMO_NOTE = """\
  NOTE  {models}: answered by the built-in demo model; it is no AI. For a real one set
        ANTHROPIC_API_KEY, OPENAI_API_KEY, DEEPSEEK_API_KEY or HUNYUAN_API_KEY,
        start Ollama or vLLM on this machine, or write a tollbridge.toml."""


class Opening(NamedTuple):
    """The state of the gateway at its start."""

    root_url: str
    environment: str
    key: str | None
    """Only on the first run: it is not kept."""
    models: list[str]
    """Switched on in the environment."""
    demo_models: list[str]
    """Those of them that only the built-in model serves."""
    available: int
    environments: int
    domain: str
    compiled: bool = False
    """Whether the modules of the hot path are compiled, or plain Python."""

    @property
    def base_url(self) -> str:
        """What the SDKs are given."""
        return f"{self.root_url}/v1/ai/{OPERATOR_GROUP}"

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {
            "base_url": self.base_url,
            "root_url": self.root_url,
            "environment": self.environment,
            "key": self.key,
            "models": self.models,
            "demo": bool(self.demo_models),
            "demo_models": self.demo_models,
            "available_micro_credits": self.available,
            "compiled": self.compiled,
        }


def banner(opening: Opening) -> str:
    """The text for a person."""
    key = opening.key or "<YOUR_KEY>"
    model = opening.models[0] if opening.models else "<MODEL>"
    if opening.key:
        shown = f"{opening.key}  (shown this once)"
    else:
        shown = "shown at the first start; make another with `tollbridge key create`"
    more = f"  (one of {opening.environments})" if opening.environments > 1 else ""
    lines = [
        "",
        f"  Tollbridge listens at   {opening.root_url}",
        f"  Environment             {opening.environment}{more}",
        f"  Key                     {shown}",
        f"  Balance                 {credits_text(opening.available)} credits",
        f"  Models                  {', '.join(opening.models) or 'none is switched on'}",
    ]
    if opening.domain:
        address = f"https://{opening.environment}.api.{opening.domain}/v1/ai/{OPERATOR_GROUP}"
        lines.insert(2, f"  and behind your proxy   {address}")
    if opening.demo_models:
        lines += ["", DEMO_NOTE.format(models=", ".join(opening.demo_models))]
    return "\n".join([*lines, "", *_blocks(opening, key, model), ""])


def _blocks(opening: Opening, key: str, model: str) -> list[str]:
    base = opening.base_url
    return f'''\
  Python (pip install anthropic)

import anthropic
client = anthropic.Anthropic(auth_token="{key}", base_url="{base}")
with client.messages.stream(
    model="{model}",
    max_tokens=1024,
    messages=[{{"role": "user", "content": "Introduce yourself"}}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)

  Node (npm install @anthropic-ai/sdk)

const Anthropic = require("@anthropic-ai/sdk");
const client = new Anthropic({{ authToken: "{key}", baseURL: "{base}" }});
client.messages.create({{
  model: "{model}",
  max_tokens: 1024,
  messages: [{{ role: "user", content: "Hello" }}],
}}).then((message) => console.log(message.content[0].text));

  curl

curl -N {base}/chat/completions \\
  -H "authorization: Bearer {key}" -H "content-type: application/json" \\
  -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello"}}]}}'

  Claude Code

ANTHROPIC_BASE_URL={base} ANTHROPIC_AUTH_TOKEN={key} ANTHROPIC_MODEL={model} claude

  Balance: tollbridge pack list     Usage: tollbridge usage     Stop: Ctrl-C'''.split("\n")
