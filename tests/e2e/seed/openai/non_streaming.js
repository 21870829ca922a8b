const OpenAI = require("openai");
const client = new OpenAI({
  apiKey: "<YOUR_CLOUDBASE_API_KEY>",
  baseURL: "https://<ENV_ID>.api.tcloudbasegateway.com/v1/ai/cloudbase"
});
async function main() {
  const completion = await client.chat.completions.create({
    model: "hy3-preview",
    messages: [{ role: "user", content: "Hello" }]
  });
  console.log(completion.choices[0].message.content);
}
main();
