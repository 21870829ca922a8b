"""Every parameter of the documented table; SDKs from 2.0 on have no argument for the last two."""

import inspect

import anthropic

client = anthropic.Anthropic(
    auth_token="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

sampling = {"temperature": 0.7, "top_p": 0.9}
if "temperature" not in inspect.signature(client.messages.create).parameters:
    sampling = {"extra_body": sampling}
message = client.messages.create(
    model="hy3-preview",
    messages=[{"role": "user", "content": "Hello"}],
    system="You are terse.",
    max_tokens=512,
    stream=False,
    **sampling,
)
print(message.content[0].text)
