"""The documented Node example, in Python."""

import sys

import anthropic

client = anthropic.Anthropic(
    auth_token="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

try:
    message = client.messages.create(
        model="hy3-preview",
        max_tokens=1024,
        messages=[{"role": "user", "content": "Hello"}],
    )
    print(message.content[0].text)
except anthropic.APIStatusError as error:
    print("API Error:", error.status_code, error.message, file=sys.stderr)
