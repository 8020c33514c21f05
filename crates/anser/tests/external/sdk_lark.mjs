// Sends, answers, changes and takes back messages with @larksuiteoapi/node-sdk, against a stand-in; prints what the SDK says
// of each on its last line. Argument: a folder with the package. Standard input: {"base_url", "app_id", "app_secret", "chat"}.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const lark = createRequire(join(process.argv[2], "package.json"))("@larksuiteoapi/node-sdk");
const asked = JSON.parse(readFileSync(0, "utf8"));
const png = Buffer.from("\x89PNG\r\n\x1a\npicture", "latin1");

const clientWith = (appSecret) =>
  new lark.Client({ appId: asked.app_id, appSecret, domain: asked.base_url, loggerLevel: lark.LoggerLevel.fatal });
const client = clientWith(asked.app_secret);
const messages = client.im.v1.message;

const good = (answer) => {
  if (answer.code !== 0) throw new Error(JSON.stringify(answer));
  return answer.data;
};
const send = (msg_type, content, receive_id = asked.chat) =>
  messages.create({
    params: { receive_id_type: "chat_id" },
    data: { receive_id, msg_type, content: JSON.stringify(content) },
  });
const card = (content) => ({ schema: "2.0", body: { elements: [{ tag: "markdown", content }] } });

// What is uploaded comes without the envelope of code and data.
const { image_key } = await client.im.v1.image.create({ data: { image_type: "message", image: png } });
const { file_key } = await client.im.v1.file.create({
  data: { file_type: "pdf", file_name: "r.pdf", file: Buffer.from("%PDF") },
});
const told = { image_key, file_key };
for (const [kind, content] of [
  ["text", { text: "hello" }],
  ["image", { image_key }],
  ["file", { file_key }],
  ["interactive", card("first")],
]) {
  told[kind] = good(await send(kind, content)).message_id;
}
const path = (message_id) => ({ path: { message_id } });
const reply = { msg_type: "text", content: JSON.stringify({ text: "answer" }) };
told.reply = good(await messages.reply({ ...path(told.text), data: reply })).message_id;
const edit = { msg_type: "text", content: JSON.stringify({ text: "edited" }) };
good(await messages.update({ ...path(told.text), data: edit }));
good(await messages.patch({ ...path(told.interactive), data: { content: JSON.stringify(card("second")) } }));
good(await messages.delete(path(told.file)));

// What the user of the SDK sees of a refusal.
const refused = async (call) => {
  try {
    return [false, (await call()).code];
  } catch (error) {
    return [false, error.response?.data?.code ?? String(error)];
  }
};
told.recalled_again = await refused(() => messages.delete(path(told.file)));
told.unknown_key = await refused(() => send("image", { image_key: "img_unknown" }, "oc_another"));
console.log(JSON.stringify(told));
