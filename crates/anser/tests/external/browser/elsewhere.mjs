// A page of an origin of its own, on another port than the gateway: empty, with the browser bundle of npm socket.io-client.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const bundle = readFileSync(join(process.argv[2], "node_modules/socket.io-client/dist/socket.io.min.js"));
const html = '<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,"><script src="/socket.io.js"></script>';

// Its origin; it ends with the process.
export async function elsewhere() {
  const server = createServer((request, answer) => {
    const script = request.url === "/socket.io.js";
    answer.setHeader("content-type", script ? "text/javascript" : "text/html");
    answer.end(script ? bundle : html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
}
