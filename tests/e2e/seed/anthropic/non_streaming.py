"""The documented example: one answer."""

import anthropic

client = anthropic.Anthropic(
    auth_token="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

message = client.messages.create(
    model="hy3-preview",
    max_tokens=1024,
    messages=[{"role": "user", "content": "Hello"}],
)
print(message.content[0].text)
