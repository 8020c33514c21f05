// Two users of npm socket.io-client talk through Anser, over the transports that are asked for; prints what they saw on its
// last line. Argument: a folder with the package. Standard input: {"base_url", "key", "ann", "bob", "bob_id", "transports"},
// an operator's key and tokens of two users.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const { io } = createRequire(join(process.argv[2], "package.json"))("socket.io-client");
const asked = JSON.parse(readFileSync(0, "utf8"));

const connect = (auth) =>
  io(asked.base_url, { auth, transports: asked.transports, forceNew: true, reconnection: false, autoConnect: false });
// Everything that comes, so that nothing is missed between two waits.
const watch = (socket) => {
  const seen = [];
  let wake = () => {};
  socket.onAny((name, event, acknowledge) => {
    seen.push({ name, event, acknowledge });
    wake();
  });
  socket.next = async (name) => {
    for (;;) {
      const at = seen.findIndex((one) => one.name === name);
      if (at >= 0) return seen.splice(at, 1)[0];
      await new Promise((resolve) => (wake = resolve));
    }
  };
  return socket;
};
const open = async (auth) => {
  const socket = watch(connect(auth));
  socket.connect();
  const welcome = await socket.next("ib");
  if (welcome.event.kind !== "welcome") throw new Error(JSON.stringify(welcome));
  return socket;
};
const say = (to, text) => ({ message: { header: { to: [to] }, body: { data: { text } } } });
const read = async (socket, acknowledged = true) => {
  const { event, acknowledge } = await socket.next("message");
  if (acknowledged) acknowledge();
  return event;
};
const refused = (auth) =>
  new Promise((resolve) => {
    const socket = connect(auth);
    socket.on("connect_error", (error) => {
      socket.close();
      resolve(error.message);
    });
    socket.connect();
  });
const gone = (socket) => new Promise((resolve) => socket.on("disconnect", resolve));

// Leaves, and waits until the server knows it: what is said then was surely never given to the session that is gone.
const leave = async (socket) => {
  socket.disconnect();
  const url = `${asked.base_url}/v1/sessions?user=${asked.bob_id}`;
  for (;;) {
    const answer = await fetch(url, { headers: { authorization: `Bearer ${asked.key}` } });
    if ((await answer.json()).items.length === 0) return;
  }
};

const told = {};
const ann = await open({ token: asked.ann });
let bob = await open({ token: asked.bob, resource: "first" });
if (asked.transports.length > 1 && bob.io.engine.transport.name !== "websocket") {
  await new Promise((resolve) => bob.io.engine.once("upgrade", resolve));
}
told.transport = bob.io.engine.transport.name;

// In order, with confirms, stamped by the gateway whatever the client says of itself.
told.confirms = [];
for (const text of ["one", "two", "three"]) told.confirms.push(await ann.emitWithAck("publish", say(`user:${asked.bob_id}`, text)));
told.heard = [];
for (let i = 0; i < 3; i++) told.heard.push(await read(bob, i < 2));
const spoofed = say(`user:${asked.bob_id}`, "spoofed");
spoofed.message.header.from = { id: "admin", type: "user" };
told.spoofed = await ann.emitWithAck("publish", spoofed);

// The third was not acknowledged: it comes again, marked, before what was said meanwhile; nothing else does.
await leave(bob);
await ann.emitWithAck("publish", say(`user:${asked.bob_id}`, "four"));
bob = await open({ token: asked.bob, resource: "first" });
told.again = [await read(bob), await read(bob)];
// And nothing at all comes again with the offset of the last one.
const after = told.again[1].offset;
await leave(bob);
await ann.emitWithAck("publish", say(`user:${asked.bob_id}`, "five"));
bob = await open({ token: asked.bob, resource: "first", after });
told.resumed = [await read(bob)];

// Far more than the window, acknowledged by the operation alone: all of it comes.
told.many = 0;
for (let i = 0; i < 600; i += 100) {
  const texts = Array.from({ length: 100 }, (_, n) => `many ${i + n}`);
  await Promise.all(texts.slice(0, 50).map((text) => ann.emitWithAck("publish", say(`user:${asked.bob_id}`, text))));
  await Promise.all(texts.slice(50).map((text) => ann.emitWithAck("publish", say(`user:${asked.bob_id}`, text))));
  for (const text of texts) {
    const event = await read(bob, false);
    if (event.message.body.data.text === text) told.many++;
    if (text === texts[99]) await bob.emitWithAck("ack", { up_to: event.offset });
  }
}

// A question, answered by the other one's program.
bob.on("iq", (question) => bob.emit("iq", { id: question.id, type: "result", payload: { sum: question.payload.a + question.payload.b } }));
told.asked = await ann.emitWithAck("iq", { id: "q1", to: `user:${asked.bob_id}`, type: "get", payload: { a: 1, b: 2 } });
told.outcome = (await ann.next("iq")).event;

// What is wrong is said, by the callback or else by an event.
told.unknown = await ann.emitWithAck("no.such.thing", {});
ann.emit("subscribe", { topic: 7 });
told.error = (await ann.next("error")).event;
told.binary = await ann.emitWithAck("publish", { message: Buffer.from("x") });
told.refused = [await refused({ token: "no-such-token" }), await refused({})];

// A second session under the same resource ends the first, with a reason.
const replaced = gone(bob);
const second = await open({ token: asked.bob, resource: "first" });
told.closed = (await bob.next("closed")).event;
told.gone = await replaced;

ann.disconnect();
second.disconnect();
console.log(JSON.stringify(told));
