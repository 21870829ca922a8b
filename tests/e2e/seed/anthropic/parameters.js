const Anthropic = require("@anthropic-ai/sdk");
const client = new Anthropic({
  authToken: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
const message = await client.messages.create({
  model: "hy3-preview",
  messages: [{ role: "user", content: "Hello" }],
  system: "You are terse.",
  max_tokens: 512,
  stream: false,
  temperature: 0.7,
  top_p: 0.9
});
console.log(message.content[0].text);
