"""The documented streaming example, in Chat Completions."""

from openai import OpenAI

client = OpenAI(
    api_key="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

stream = client.chat.completions.create(
    model="hy3-preview",
    messages=[{"role": "user", "content": "Introduce yourself"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
