"""The documented first example, in Chat Completions."""

from openai import OpenAI

client = OpenAI(
    api_key="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

completion = client.chat.completions.create(
    model="hy3-preview",
    messages=[{"role": "user", "content": "Hello"}],
)
print(completion.choices[0].message.content)
