// What scenarios in a real browser share: Chromium, its pages and what they say on their consoles, and a line to the test that
// started the scenario. A scenario is a script that calls `scenario` once:
//
//   await scenario(async ({ asked, ask, open, watch, failing, context }) => ({ ... what it saw, for the test to judge ... }));
//
//   asked            what the test gave it
//   ask(what)        has the test do something, such as killing the server; answers what the test answers
//   open(name)       a new tab, a page of playwright-core; its console is watched
//   watch(name, page) watches a page that opened by itself, such as that of a link
//   failing(run, what)  such errors on consoles are expected while `run` runs: failed connections, unless `what` says which
//   context          the browser's profile, of playwright-core
//
// Arguments: the folder with the package playwright-core, Chromium, and where screenshots go. One JSON object a line on both
// sides. When something goes wrong: what, every console, a screenshot of each page, and exit code 1.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [, script, packages, executablePath, shots] = process.argv;
const { chromium } = createRequire(join(packages, "package.json"))("playwright-core");
// A condition may take so long: far above what a busy machine needs.
const DEADLINE = 30_000;
// How Chromium says that a connection did not come about, or broke.
const FAILED = /net::ERR_|WebSocket connection to .* failed/;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const hear = async () => {
  const { value, done } = await lines.next();
  if (done) throw new Error("the test has gone");
  return JSON.parse(value);
};
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

export async function scenario(run) {
  const asked = await hear();
  const ask = async (what) => {
    tell({ ask: what });
    return hear();
  };
  // CI may be root in a container, where Chromium's own sandbox does not work and the container is one.
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const context = await browser.newContext();
  context.setDefaultTimeout(DEADLINE);
  const pages = [];
  const errors = [];
  const said = [];
  let expected = null;
  const watch = (name, page) => {
    pages.push({ name, page });
    const wrong = (text) => {
      if (!expected?.test(text)) errors.push(`${name}: ${text}`);
    };
    page.on("console", (message) => {
      const { url } = message.location();
      said.push(`${name} ${message.type()}: ${message.text()} ${url}`);
      if (message.type() === "error") wrong(`${message.text()} ${url}`);
    });
    page.on("pageerror", (error) => {
      said.push(`${name}: ${error.stack}`);
      wrong(String(error));
    });
    return page;
  };
  const open = async (name) => watch(name, await context.newPage());
  const failing = async (during, what = FAILED) => {
    expected = what;
    try {
      return await during();
    } finally {
      expected = null;
    }
  };
  try {
    const told = await run({ asked, ask, open, watch, failing, context });
    if (errors.length > 0) throw new Error(`on the consoles:\n${errors.join("\n")}`);
    tell({ told });
  } catch (error) {
    process.exitCode = 1;
    console.error(error.stack ?? error);
    console.error(`consoles:\n${said.join("\n")}`);
    for (const { name, page } of pages) {
      const path = join(shots, `${script.split("/").pop().replace(".mjs", "")}-${asked.name ?? "run"}-${name}.png`);
      await page.screenshot({ path, fullPage: true, timeout: DEADLINE }).then(
        () => console.error(`${name}, ${page.url()}: screenshot ${path}`),
        (failure) => console.error(`${name}, ${page.url()}: no screenshot: ${failure.message}`),
      );
    }
  }
  await browser.close();
  process.stdin.destroy();
}

// Looks until the condition holds.
export async function until(what, condition) {
  const end = Date.now() + DEADLINE;
  let seen;
  while (Date.now() < end) {
    seen = await condition();
    if (seen === true) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within ${DEADLINE} ms: ${what}; last seen: ${JSON.stringify(seen)}`);
}
