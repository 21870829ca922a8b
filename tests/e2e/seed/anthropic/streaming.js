const Anthropic = require("@anthropic-ai/sdk");
const client = new Anthropic({
  authToken: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
async function main() {
  const stream = await client.messages.stream({
    model: "hy3-preview",
    max_tokens: 1024,
    messages: [{ role: "user", content: "Introduce yourself" }]
  });
  for await (const chunk of stream) {
    if (
      chunk.type === "content_block_delta" &&
      chunk.delta.type === "text_delta"
    ) {
      process.stdout.write(chunk.delta.text);
    }
  }
}
main();
