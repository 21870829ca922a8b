const Anthropic = require("@anthropic-ai/sdk");
const client = new Anthropic({
  authToken: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
const messages = [];
async function chat(userMessage) {
  messages.push({ role: "user", content: userMessage });
  const response = await client.messages.create({
    model: "hy3-preview",
    max_tokens: 1024,
    system: "You are a poetry expert.",
    messages
  });
  const assistantContent = response.content[0].text;
  messages.push({ role: "assistant", content: assistantContent });
  return assistantContent;
}
// Example usage
console.log(await chat("What is Li Bai's most famous poem?"));
console.log(await chat("What is the background of that poem?"));
