"""Every parameter of the documented table, in Chat Completions."""

from openai import OpenAI

client = OpenAI(
    api_key="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

completion = client.chat.completions.create(
    model="hy3-preview",
    messages=[
        {"role": "system", "content": "You are terse."},
        {"role": "user", "content": "Hello"},
    ],
    max_tokens=512,
    stream=False,
    temperature=0.7,
    top_p=0.9,
)
print(completion.choices[0].message.content)
