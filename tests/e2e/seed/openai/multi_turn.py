"""The documented multi-turn example, in Chat Completions."""

from openai import OpenAI

client = OpenAI(
    api_key="<YOUR_CLOUDBASE_API_KEY>",
    base_url="https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase",
)

messages = [{"role": "system", "content": "You are a poetry expert."}]


def chat(user_message):
    messages.append({"role": "user", "content": user_message})
    completion = client.chat.completions.create(model="hy3-preview", messages=messages)
    answer = completion.choices[0].message
    messages.append(answer)
    return answer.content


print(chat("What is Li Bai's most famous poem?"))
print(chat("What is the background of that poem?"))
