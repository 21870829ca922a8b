const OpenAI = require("openai");
const client = new OpenAI({
  apiKey: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
const completion = await client.chat.completions.create({
  model: "hy3-preview",
  messages: [
    { role: "system", content: "You are terse." },
    { role: "user", content: "Hello" }
  ],
  max_tokens: 512,
  stream: false,
  temperature: 0.7,
  top_p: 0.9
});
console.log(completion.choices[0].message.content);
