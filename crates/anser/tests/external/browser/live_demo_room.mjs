// Three tabs in a room of /live-demo, one of each wire; one of them is closed while something is said, and opened again.
// Asked: {"base_url"}.

import { scenario, until } from "./browser.mjs";

const texts = (page) => page.locator("#log .text").allTextContents();

await scenario(async ({ asked, open }) => {
  const enter = async (user, wire) => {
    const page = await open(user);
    const query = new URLSearchParams({ user, kind: "room", room: "lobby", wire });
    await page.goto(`${asked.base_url}/live-demo?${query}`);
    await page.getByRole("status").filter({ hasText: `Connected as ${user}` }).waitFor();
    return page;
  };
  const say = async (page, text) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  };
  const pages = { ann: await enter("ann", "ws"), bob: await enter("bob", "poll"), carol: await enter("carol", "sse") };
  const all = (count) =>
    until(`${count} lines everywhere`, async () => {
      const seen = await Promise.all(Object.values(pages).map(texts));
      return seen.every((lines) => lines.length >= count) || seen;
    });
  await say(pages.ann, "from ann");
  await all(1);
  // Not stored, and seen by the others.
  await pages.ann.getByLabel("Message", { exact: true }).pressSequentially("f");
  for (const user of ["bob", "carol"]) await pages[user].getByText("ann is writing").waitFor();
  await say(pages.bob, "from bob");
  await all(2);
  await pages.bob.goto("about:blank");
  await say(pages.carol, "from carol");
  await until("ann has it", async () => (await texts(pages.ann)).length === 3);
  await pages.bob.goBack();
  await pages.bob.getByRole("status").filter({ hasText: "Connected as bob" }).waitFor();
  await all(3);
  await say(pages.bob, "after bob is back");
  await all(4);
  return Object.fromEntries(await Promise.all(Object.entries(pages).map(async ([user, page]) => [user, await texts(page)])));
});
