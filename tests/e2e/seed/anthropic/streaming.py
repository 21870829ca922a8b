"""The documented example: an answer as it is written."""

import anthropic

client = anthropic.Anthropic(
    auth_token="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

with client.messages.stream(
    model="hy3-preview",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Introduce yourself"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
