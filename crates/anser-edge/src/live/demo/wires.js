// Three wires of live clients, as a page can use them, with nothing but what browsers have. Each is one function:
// it opens a connection, tells `on` what comes, and returns once that connection is over. `place` is where it goes on:
// read when it begins, and written as messages are taken. What the caller does with events is its own affair.
//
//   wire({ token, resource, room, place }, { open, event }, signal)
//
//   token     who it is (docs/guide/live.md)
//   resource  tells this tab from others of the same user
//   room      a room to read beside the user's own messages, or null
//   place     { get(), set(value) }: where this wire got to; the value is opaque
//   open      told once the server let us in: ask(frame) sends a request and answers with the server's answer
//   event     told each event, before it is acknowledged
//   signal    aborted when it is to end

const PING_EVERY = 25_000;
const PING_WITHIN = 10_000;

class Refused extends Error {}

const query = (values) => {
  const entries = Object.entries(values).filter(([, value]) => value != null);
  return new URLSearchParams(entries).toString();
};

const post = async (path, session, frame) => {
  const answer = await fetch(`${path}?${query({ session })}`, { method: 'POST', body: JSON.stringify(frame) });
  return answer.json();
};

// One connection, both ways. What arrived is acknowledged, and another connection goes on behind it.
async function websocket({ token, resource, room, place }, { open, event }, signal) {
  const at = place.get() ?? {};
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url);
  const waiting = new Map();
  let number = 0;
  const ask = (frame) => new Promise((resolve, reject) => {
    if (socket.readyState !== WebSocket.OPEN) return reject(new Error('the connection is gone'));
    const ref = String(++number);
    waiting.set(ref, { resolve, reject });
    socket.send(JSON.stringify({ ...frame, ref }));
  });
  const took = (told) => {
    event(told);
    if (told.op !== 'message' || !told.offset) return;
    at[told.stream] = told.offset;
    place.set(at);
    ask({ op: 'ack', stream: told.stream, up_to: told.offset }).catch(() => {});
  };
  const welcomed = async (told) => {
    if (room) {
      const answer = await ask({ op: 'subscribe', room, after: at[`room:${room}`] });
      if (answer.op === 'error') event(answer);
      // So that what is said while this tab is away is read later, even if nothing was said before.
      else place.set(Object.assign(at, { [answer.stream]: at[answer.stream] ?? answer.offset }));
    }
    open(ask, told);
  };
  let alive;
  const ping = () => {
    alive = setTimeout(() => {
      const silent = setTimeout(() => socket.close(), PING_WITHIN);
      ask({ op: 'ping' }).then(ping, () => {}).finally(() => clearTimeout(silent));
    }, PING_EVERY);
  };
  socket.onopen = () => {
    // The token is in the first frame, so that it stands in no log of addresses.
    socket.send(JSON.stringify({ op: 'auth', token, resource, after: at.mailbox }));
    ping();
  };
  socket.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.ref) {
      waiting.get(told.ref)?.resolve(told);
      waiting.delete(told.ref);
    } else if (told.op === 'ib' && told.kind === 'welcome') {
      welcomed(told).catch(() => {});
    } else {
      took(told);
    }
  };
  const leave = () => socket.close(1000);
  signal.addEventListener('abort', leave);
  await new Promise((ended) => { socket.onclose = ended; });
  signal.removeEventListener('abort', leave);
  clearTimeout(alive);
  for (const { reject } of waiting.values()) reject(new Error('the connection is gone'));
}

// One request after the other. What an answer calls `after` goes into the next request, which says by it that it arrived.
async function poll({ token, resource, room, place }, { open, event }, signal) {
  let session = null;
  while (!signal.aborted) {
    const read = room ? `room:${room}` : null;
    const address = query({ resource, read, after: place.get(), wait: session ? 25 : 0 });
    const answer = await fetch(`/poll?${address}`, { headers: { authorization: `Bearer ${token}` }, signal });
    const body = await answer.json();
    if (!answer.ok) {
      if (body.code === 'invalid_offset') place.set(null);
      throw new Refused(body.detail);
    }
    const begun = session !== body.session;
    session = body.session;
    const welcome = body.events.find((told) => told.op === 'ib' && told.kind === 'welcome');
    for (const told of body.events) if (told !== welcome) event(told);
    place.set(body.after);
    if (body.events.some((told) => told.op === 'closed')) return;
    if (begun) open((frame) => post('/poll', body.session, frame), welcome ?? null);
  }
}

// Events one way; what is asked goes beside it. The position is the id of the last event: the browser gives it back by
// itself when it connects again, and `after` does when the page does.
async function sse({ token, resource, room, place }, { open, event }, signal) {
  const read = room ? `room:${room}` : null;
  const source = new EventSource(`/sse?${query({ token, resource, read, after: place.get() })}`);
  let session = null;
  const leave = () => source.close();
  signal.addEventListener('abort', leave);
  await new Promise((ended) => {
    source.addEventListener('session', ({ data }) => { session = JSON.parse(data).session; });
    for (const name of ['message', 'presence', 'iq', 'ib', 'closed']) {
      source.addEventListener(name, ({ data, lastEventId }) => {
        const told = JSON.parse(data);
        if (told.op === 'ib' && told.kind === 'welcome') {
          const own = session;
          open((frame) => post('/sse', own, frame), told);
          return;
        }
        event(told);
        if (lastEventId) place.set(lastEventId);
        if (told.op === 'closed') ended();
      });
    }
    // The browser would try again with the token of this connection; the page tries again with a fresh one.
    source.onerror = ended;
    signal.addEventListener('abort', ended);
  });
  source.close();
  signal.removeEventListener('abort', leave);
}

export const wires = { ws: websocket, poll, sse };
