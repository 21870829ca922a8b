"""The documented Node example, in Python."""

import anthropic

client = anthropic.Anthropic(
    auth_token="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

messages = []


def chat(user_message):
    messages.append({"role": "user", "content": user_message})
    response = client.messages.create(
        model="hy3-preview",
        max_tokens=1024,
        system="You are a poetry expert.",
        messages=messages,
    )
    assistant_content = response.content[0].text
    messages.append({"role": "assistant", "content": assistant_content})
    return assistant_content


print(chat("What is Li Bai's most famous poem?"))
print(chat("What is the background of that poem?"))
