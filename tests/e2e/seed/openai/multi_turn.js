const OpenAI = require("openai");
const client = new OpenAI({
  apiKey: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
const messages = [{ role: "system", content: "You are a poetry expert." }];
async function chat(userMessage) {
  messages.push({ role: "user", content: userMessage });
  const completion = await client.chat.completions.create({
    model: "hy3-preview",
    messages
  });
  const answer = completion.choices[0].message;
  messages.push(answer);
  return answer.content;
}
console.log(await chat("What is Li Bai's most famous poem?"));
console.log(await chat("What is the background of that poem?"));
