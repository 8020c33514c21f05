// Two tabs talk on /live-demo, each over the wire that is asked for, through a kill of the server in the middle of it.
// Asked: {"name", "base_url", "wires": [of ann, of bob]}.

import { scenario, until } from "./browser.mjs";

const NAMES = { ws: "WebSocket", poll: "long poll", sse: "server-sent events" };

const connected = (page, user, wire) =>
  page.getByRole("status").filter({ hasText: `Connected as ${user} over ${NAMES[wire]}` }).waitFor();
const away = (page) => page.getByRole("status").filter({ hasText: "Not connected" }).waitFor();
// By the keyboard alone.
const say = async (page, text) => {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
};
const lines = (page) =>
  page.locator("#log li").evaluateAll((items) => items.map((item) => ({
    own: item.classList.contains("own"),
    text: item.querySelector(".text").textContent,
    fate: item.querySelector(".fate").textContent,
  })));
const heard = async (page, own) => (await lines(page)).filter((line) => line.own === own).map((line) => line.text);
const all = (page, own, expected) =>
  until(`${page.url()} shows ${expected.length}`, async () => {
    const seen = await heard(page, own);
    return seen.length >= expected.length || seen;
  });

await scenario(async ({ asked, ask, open, watch, failing, context }) => {
  const [annWire, bobWire] = asked.wires;
  const ann = await open("ann");
  await ann.goto(`${asked.base_url}/live-demo`);
  await ann.getByLabel("Over").selectOption(annWire);
  await ann.getByRole("button", { name: "Connect" }).click();
  await connected(ann, "ann", annWire);
  // The other side is one click away.
  const opened = context.waitForEvent("page");
  await ann.getByRole("link", { name: "open the other side" }).click();
  const bob = watch("bob", await opened);
  await connected(bob, "bob", annWire);
  if (bobWire !== annWire) {
    await bob.getByLabel("Over").selectOption(bobWire);
    await bob.getByRole("button", { name: "Change" }).click();
    await connected(bob, "bob", bobWire);
  }

  // Who is there is seen by whom it was allowed.
  const seen = (page, user) => page.locator(`#roster [data-user=${user}] .there`);
  const before = await seen(ann, "bob").textContent();
  await ann.getByRole("button", { name: "Ask to see bob" }).click();
  await bob.getByRole("button", { name: "Let ann see me" }).click();
  await seen(ann, "bob").filter({ hasText: /^online$/ }).waitFor();
  await bob.getByLabel("Show me as").selectOption("away");
  await seen(ann, "bob").filter({ hasText: /^away$/ }).waitFor();

  // Typing is seen and goes; what is read is told.
  await ann.getByLabel("Message", { exact: true }).pressSequentially("hel");
  await bob.getByText("ann is writing").waitFor();
  const told = { before, ann: ["hello"], bob: ["hello yourself"] };
  await say(ann, "hello");
  await all(bob, false, told.ann);
  await bob.getByText("ann is writing").waitFor({ state: "hidden" });
  await say(bob, "hello yourself");
  await until("ann knows that it was read", async () => (await lines(ann)).some((line) => line.fate.includes("read")));

  // Both talk while the server is killed, while it is away, and once it is back.
  const talk = async (from, to) => {
    for (let n = from; n < to; n++) {
      await say(ann, `ann ${n}`);
      await say(bob, `bob ${n}`);
      told.ann.push(`ann ${n}`);
      told.bob.push(`bob ${n}`);
    }
  };
  await talk(0, 10);
  await failing(async () => {
    await Promise.all([talk(10, 20), ask("kill")]);
    await Promise.all([away(ann), away(bob)]);
    await talk(20, 25);
    await ask("restart");
    await Promise.all([connected(ann, "ann", annWire), connected(bob, "bob", bobWire)]);
  });
  await talk(25, 30);
  const read = (page) =>
    until("all is read", async () => {
      const rest = (await lines(page)).filter((line) => line.own && !line.fate.includes("read"));
      return rest.length === 0 || rest;
    });
  await all(ann, false, told.bob);
  await all(bob, false, told.ann);
  await read(ann);
  await read(bob);

  // A reload shows the same, and goes on.
  await bob.reload();
  await connected(bob, "bob", bobWire);
  await say(ann, "after the reload");
  told.ann.push("after the reload");
  await all(bob, false, told.ann);
  await read(ann);
  // So that what came twice would be there too.
  await say(bob, "the end");
  told.bob.push("the end");
  await all(ann, false, told.bob);
  return {
    ...told,
    seen: {
      ann: { own: await heard(ann, true), others: await heard(ann, false) },
      bob: { own: await heard(bob, true), others: await heard(bob, false) },
    },
  };
});
