"""The documented error handling, in Chat Completions."""

import sys

from openai import APIStatusError, OpenAI

client = OpenAI(
    api_key="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

try:
    completion = client.chat.completions.create(
        model="hy3-preview",
        messages=[{"role": "user", "content": "Hello"}],
    )
    print(completion.choices[0].message.content)
except APIStatusError as error:
    print("API Error:", error.status_code, error.message, file=sys.stderr)
