// What a page of another origin can do over every wire: one whose origin the gateway names, one whose origin it does not, and
// one of a gateway that allows all. Asks for {"origins": [...]}: a gateway, answered with {"base_url", "token"}.

import { scenario } from "./browser.mjs";
import { elsewhere } from "./elsewhere.mjs";

// Runs in the page: the user writes to themselves and hears it, over each wire.
const talk = async ({ base_url: base, token }) => {
  const say = { op: "publish", message: { header: { to: ["user:ann"] }, body: { data: { text: "hello" } } } };
  const within = (run) => Promise.race([new Promise(run), new Promise((_, late) => setTimeout(late, 20_000, "too late"))]);
  const seen = {};
  const attempt = async (name, run) => {
    try {
      seen[name] = await within(run);
    } catch (error) {
      seen[name] = String(error);
    }
  };
  const text = (event) => event.message.body.data.text;

  await attempt("ws", (resolve) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/ws?token=${token}`);
    socket.onopen = () => socket.send(JSON.stringify(say));
    socket.onerror = () => resolve("refused");
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.op !== "message") return;
      socket.send(JSON.stringify({ op: "ack", up_to: event.offset }));
      resolve(text(event));
      socket.close(1000);
    };
  });
  await attempt("sse", (resolve, reject) => {
    const source = new EventSource(`${base}/sse?token=${token}`);
    source.onerror = () => {
      source.close();
      resolve("refused");
    };
    source.addEventListener("session", ({ data }) => {
      const { session } = JSON.parse(data);
      const post = (frame) =>
        // Asks the browser to ask first: this media type is none that a form can send.
        fetch(`${base}/sse?session=${session}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(frame) });
      post(say).catch(reject);
      source.addEventListener("message", async ({ data: event }) => {
        source.close();
        resolve(text(JSON.parse(event)));
      });
    });
  });
  await attempt("poll", async (resolve, reject) => {
    try {
      const headers = { authorization: `Bearer ${token}` };
      const poll = async (query) => (await fetch(`${base}/poll?${query}`, { headers })).json();
      let { after, session } = await poll("wait=0");
      await fetch(`${base}/poll?session=${session}`, { method: "POST", body: JSON.stringify(say) });
      for (;;) {
        const answer = await poll(`wait=5&after=${after}`);
        after = answer.after;
        const message = answer.events.find(({ op }) => op === "message");
        if (!message) continue;
        await poll(`wait=0&after=${after}`);
        return resolve(text(message));
      }
    } catch (error) {
      resolve(error.name);
    }
  });
  for (const transport of ["polling", "websocket"]) {
    await attempt(`socket.io ${transport}`, (resolve) => {
      const socket = io(base, { auth: { token }, transports: [transport], forceNew: true, reconnection: false });
      socket.on("connect_error", () => resolve("refused"));
      socket.on("connect", () => socket.emit("publish", { message: say.message }));
      socket.on("message", (event, done) => {
        done();
        resolve(text(event));
        socket.close();
      });
    });
  }
  return seen;
};

// Runs in the page: no answer says that it may be read with the cookies of the gateway's site.
const withCookies = async ({ base_url: base, token }) => {
  try {
    return (await fetch(`${base}/poll?wait=0&token=${token}`, { credentials: "include" })).status;
  } catch (error) {
    return error.name;
  }
};
const why = async ({ base_url: base, token }) => (await fetch(`${base}/poll?wait=0&token=${token}`)).json();

await scenario(async ({ ask, open, failing }) => {
  const [named, stranger] = [await elsewhere(), await elsewhere()];
  const some = await ask({ origins: [named] });
  const any = await ask({ origins: ["*"] });
  const visit = async (name, url) => {
    const page = await open(name);
    await page.goto(url);
    return page;
  };
  const ours = await visit("named", named);
  const others = await visit("stranger", stranger);
  const told = { named: await ours.evaluate(talk, some), any: await others.evaluate(talk, any) };
  // What is refused stands on the console, in the browser's words.
  await failing(async () => {
    told.named["with cookies"] = await ours.evaluate(withCookies, some);
    told.any["with cookies"] = await others.evaluate(withCookies, any);
    told.stranger = await others.evaluate(talk, some);
    told.stranger.why = await others.evaluate(why, some);
  }, /CORS policy|status of 403|WebSocket connection|net::ERR_FAILED/);
  return told;
});
