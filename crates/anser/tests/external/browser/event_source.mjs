// A native EventSource, with no code of the page to connect again: what it hears before, during and after a kill of the server.
// Asks for {"origins": [...]}: a gateway, answered with {"base_url", "token", "key"}; and to "kill and restart" it.

import { scenario, until } from "./browser.mjs";
import { elsewhere } from "./elsewhere.mjs";

await scenario(async ({ ask, open, failing }) => {
  const origin = await elsewhere();
  const { base_url: base, token, key } = await ask({ origins: [origin] });
  const say = async (text) => {
    const body = JSON.stringify({ header: { to: ["user:ann"] }, body: { data: { text } } });
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const answer = await fetch(`${base}/v1/messages`, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(await answer.text());
  };
  const page = await open("page");
  await page.goto(origin);
  await page.evaluate(([url]) => {
    window.heard = [];
    window.connections = 0;
    const source = new EventSource(url);
    source.addEventListener("session", () => window.connections++);
    source.addEventListener("message", ({ data }) => window.heard.push(JSON.parse(data)));
  }, [`${base}/sse?token=${token}`]);
  const heard = () => page.evaluate(() => window.heard.map((event) => event.message.body.data.text));
  const count = (n) => until(`${n} heard`, async () => (await heard()).length >= n || heard());
  await say("one");
  await say("two");
  await count(2);
  await failing(async () => {
    await ask("kill and restart");
    // It waits for some seconds before it tries again: this is said to nobody.
    await say("three");
    await count(3);
  });
  await say("four");
  await count(4);
  return {
    heard: await heard(),
    marked: await page.evaluate(() => window.heard.filter((event) => event.possible_duplicate)),
    connections: await page.evaluate(() => window.connections),
  };
});
