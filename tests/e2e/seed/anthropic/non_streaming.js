const Anthropic = require("@anthropic-ai/sdk");
const client = new Anthropic({
  authToken: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
async function main() {
  const message = await client.messages.create({
    model: "hy3-preview",
    max_tokens: 1024,
    messages: [{ role: "user", content: "Hello" }]
  });
  console.log(message.content[0].text);
}
main();
