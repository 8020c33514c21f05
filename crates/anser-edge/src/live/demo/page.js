// The page: who talks with whom, what was said, who is there. Everything it knows is in the tab's own sessionStorage, so that
// a reload goes on where it was. The connections are in wires.js.

import { wires } from './wires.js';

const $ = (id) => document.getElementById(id);
const STORE = 'anser-live-demo';
const ISSUER = 'live-demo';
const LINES_MAX = 300;
const TYPING_EVERY = 3_000;
const TYPING_FOR = 5_000;
const RETRY_FIRST = 500;
const RETRY_MOST = 5_000;
const NAMES = { ws: 'WebSocket', poll: 'long poll', sse: 'server-sent events' };
const FATES = { waiting: '… waiting', sent: '✓ stored', delivered: '✓✓ delivered', read: '✓✓ read', refused: '✗ refused' };
const SHOWS = { chat: 'glad to talk', online: 'online', away: 'away', xa: 'away for long', dnd: 'not to be disturbed', offline: 'offline' };
// After these the server would only say the same again.
const FINAL = {
  replaced: 'Another tab of yours took over',
  kicked: 'An operator ended the session',
  revoked: 'The right to connect was taken back',
};

const load = (name) => JSON.parse(sessionStorage.getItem(name) ?? 'null');
const keep = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));

const settings = load(STORE) ?? { tab: crypto.randomUUID(), user: 'ann', kind: 'user', peer: 'bob', room: 'lobby', wire: 'ws', connected: false };
// What the user in force said and heard, and where each wire got to.
let memory = { lines: [], at: {} };
let running = null;
let ask = null;
let roster = new Map();
const drawn = new Map();

const save = () => {
  memory.lines.splice(0, memory.lines.length - LINES_MAX);
  keep(`${STORE} ${settings.user}`, memory);
};

// --- what was said ---

function draw(line) {
  const known = drawn.get(line.key);
  const item = known ?? $('message').content.firstElementChild.cloneNode(true);
  const part = (name) => item.querySelector(name);
  item.classList.toggle('own', line.own);
  item.classList.toggle('refused', line.fate === 'refused');
  part('.from').textContent = line.own ? `me to ${line.to}:` : line.room ? `${line.from} in ${line.room}:` : `${line.from}:`;
  part('.text').textContent = line.text;
  const time = new Date(line.time);
  part('time').dateTime = time.toISOString();
  part('time').textContent = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  part('.fate').textContent = line.own ? FATES[line.fate] + (line.why ? `: ${line.why}` : '') : '';
  if (known) return;
  drawn.set(line.key, item);
  const log = $('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  $('lines').append(item);
  if (atEnd || line.own) log.scrollTop = log.scrollHeight;
}

function changed(line) {
  draw(line);
  save();
}

const words = ({ body }) => body.fallback ?? body.data?.text ?? JSON.stringify(body);

function heard({ stream, message }) {
  const { header } = message;
  const { id, from, type } = header;
  if (type === 'chat.typing') return typing(from.name ?? from.id);
  if (type === 'chat.delivered' || type === 'chat.read') return receipt(type.slice('chat.'.length), message.body.data);
  const own = header.correlation_id && memory.lines.find((line) => line.own && line.key === header.correlation_id);
  if (own) return confirmed(own, id);
  // What was not acknowledged comes again; its id is the same.
  if (memory.lines.some((line) => line.id === id)) return undefined;
  const room = stream.startsWith('room:') ? stream.slice('room:'.length) : null;
  const line = { key: id, id, from: from.name ?? from.id, user: from.id, room, text: words(message), time: Date.parse(header.time), told: null, own: false };
  memory.lines.push(line);
  changed(line);
  typing(null);
  return tellReceipts();
}

const RANK = ['waiting', 'sent', 'delivered', 'read'];

function receipt(fate, data) {
  for (const id of data?.message_ids ?? []) {
    const line = memory.lines.find((one) => one.own && one.id === id);
    // The other side may be faster than the answer that tells our message's id.
    if (!line) memory.early = [...(memory.early ?? []), { id, fate }].slice(-LINES_MAX);
    else if (RANK.indexOf(line.fate) < RANK.indexOf(fate)) {
      line.fate = fate;
      changed(line);
    }
  }
  save();
}

// Says what arrived, and what was seen: one message to each who wrote.
async function tellReceipts() {
  const fate = document.visibilityState === 'visible' ? 'read' : 'delivered';
  const due = memory.lines.filter((line) => !line.own && !line.room && line.told !== 'read' && line.told !== fate);
  for (const user of new Set(due.map((line) => line.user))) {
    const lines = due.filter((line) => line.user === user);
    for (const line of lines) line.told = fate;
    const data = { message_ids: lines.map((line) => line.id) };
    const answer = await request({ op: 'publish', message: { header: { to: [`user:${user}`], type: `chat.${fate}` }, body: { data } } });
    if (!answer) for (const line of lines) line.told = null;
    save();
  }
}

// --- what is said ---

function confirmed(line, id) {
  line.id = id;
  if (line.fate === 'waiting') line.fate = 'sent';
  const early = (memory.early ?? []).filter((one) => one.id === id);
  if (early.length > 0) {
    memory.early = memory.early.filter((one) => one.id !== id);
    line.fate = early.some(({ fate }) => fate === 'read') ? 'read' : 'delivered';
  }
  changed(line);
}

let flushing = false;

// Sends what waits, one after the other. What was sent before the connection broke has the same dedupe key: it is stored once.
async function flush() {
  if (flushing) return;
  flushing = true;
  let line;
  while ((line = memory.lines.find(({ own, fate }) => own && fate === 'waiting'))) {
    const kind = line.to.startsWith('room:') ? 'groupchat' : 'chat';
    const header = { to: [line.to], type: 'message', kind, correlation_id: line.key };
    const body = { segments: [{ type: 'text', text: line.text }] };
    const answer = await request({ op: 'publish', message: { header, body, dedupe_key: line.key } });
    if (!answer || answer.status >= 500 || answer.status === 429) break;
    if (answer.op === 'ok') {
      confirmed(line, answer.id);
    } else {
      Object.assign(line, { fate: 'refused', why: answer.detail });
      changed(line);
    }
  }
  flushing = false;
}

// The server's answer, or null where the connection broke first: what matters is asked again on the next one.
async function request(frame) {
  try {
    return ask ? await ask(frame) : null;
  } catch {
    return null;
  }
}

const address = () => (settings.kind === 'room' ? `room:${settings.room}` : `user:${settings.peer}`);

$('say').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  $('text').value = '';
  typed = 0;
  const line = { key: crypto.randomUUID(), id: null, own: true, to: address(), text, time: Date.now(), fate: 'waiting' };
  memory.lines.push(line);
  changed(line);
  flush();
});

// --- who types ---

let typed = 0;
let typingEnds;

$('text').addEventListener('input', () => {
  if (!$('text').value || Date.now() - typed < TYPING_EVERY) return;
  typed = Date.now();
  // Not stored, and given to nobody who is not there now.
  request({ op: 'publish', transient: true, message: { header: { to: [address()], type: 'chat.typing' }, body: { data: {} } } });
});

function typing(who) {
  clearTimeout(typingEnds);
  $('typing').textContent = who ? `${who} is writing …` : '';
  if (who) typingEnds = setTimeout(() => typing(null), TYPING_FOR);
}

// --- who is there ---

async function readRoster() {
  const answer = await request({ op: 'presence.probe' });
  if (answer?.roster) roster = new Map(answer.roster.map((contact) => [contact.user, contact]));
  drawRoster();
}

function standing(contact) {
  if (!contact) return 'you do not see each other';
  if (contact.presence && !ask) return 'not known while you are not connected';
  if (contact.presence) return SHOWS[contact.presence.show] + (contact.presence.status ? `: ${contact.presence.status}` : '');
  if (contact.asks) return 'asks to see whether you are there';
  if (contact.asked) return 'you asked; no answer yet';
  return contact.subscription === 'from' ? 'sees you; you do not see them' : 'you do not see each other';
}

function drawRoster() {
  const users = new Set(roster.keys());
  if (settings.connected && settings.kind === 'user') users.add(settings.peer);
  const items = [...users].sort().map((user) => {
    const contact = roster.get(user);
    const item = document.createElement('li');
    item.dataset.user = user;
    const name = document.createElement('strong');
    name.textContent = user;
    const there = document.createElement('span');
    there.className = 'there';
    there.textContent = standing(contact);
    item.append(name, there);
    const offer = (label, op) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.disabled = !ask;
      button.onclick = async () => {
        const answer = await request({ op, principal: user });
        $('news').textContent = answer?.op === 'error' ? answer.detail : '';
        await readRoster();
        // The button is gone: whoever works by keyboard stays at this person.
        (document.querySelector(`#roster [data-user="${CSS.escape(user)}"] button`) ?? $('show')).focus();
      };
      item.append(button);
    };
    const sees = contact && ['to', 'both'].includes(contact.subscription);
    if (contact?.asks) {
      offer(`Let ${user} see me`, 'presence.approve');
      offer(`Refuse ${user}`, 'presence.refuse');
    }
    if (!sees && !contact?.asked) offer(`Ask to see ${user}`, 'presence.subscribe');
    return item;
  });
  $('roster').replaceChildren(...items);
}

$('show').addEventListener('change', () => request({ op: 'presence', show: $('show').value }));

// --- the connection ---

function state(kind, text) {
  $('state').dataset.state = kind;
  $('state').textContent = text;
  $('show').disabled = kind !== 'on';
}

async function called(path, init) {
  const answer = await fetch(path, { ...init, headers: { 'content-type': 'application/json' } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

async function exists(kind, name, spec) {
  const { items, cursor } = await called(`/v1/${kind}?limit=500`);
  // Where there are more, it may be one of them, and is not to be overwritten.
  const there = cursor || items.some((item) => item.name.toLowerCase() === name.toLowerCase());
  if (!there) await called(`/v1/${kind}/${encodeURIComponent(name)}`, { method: 'PUT', body: JSON.stringify(spec) });
}

// What an application's own server does for its users: it knows who they are, and gives them a token. Here the developer
// mode, which asks for no key, lets the page do it.
async function token() {
  await exists('issuers', ISSUER, { description: 'The page /live-demo' });
  if (settings.kind === 'room') await exists('rooms', settings.room, { open: true, description: 'Made by /live-demo' });
  const minted = await called(`/v1/issuers/${ISSUER}/tokens`, { method: 'POST', body: JSON.stringify({ user: settings.user, lifetime: 3600 }) });
  return minted.token;
}

const pause = (time, signal) => new Promise((resolve) => {
  const over = () => {
    clearTimeout(timer);
    removeEventListener('online', over);
    resolve();
  };
  const timer = setTimeout(over, time);
  addEventListener('online', over);
  signal.addEventListener('abort', over);
});

async function run(signal) {
  const room = settings.kind === 'room' ? settings.room : null;
  const own = `${settings.wire} ${room ?? ''}`;
  const place = {
    get: () => memory.at[own],
    set: (value) => {
      memory.at[own] = value;
      save();
    },
  };
  let wait = RETRY_FIRST;
  let final = null;
  const open = (asking) => {
    if (signal.aborted) return;
    ask = asking;
    wait = RETRY_FIRST;
    state('on', `Connected as ${settings.user} over ${NAMES[settings.wire]}`);
    request({ op: 'presence', show: $('show').value });
    readRoster();
    flush();
    tellReceipts();
  };
  const event = (told) => {
    if (signal.aborted) return;
    if (told.op === 'message') heard(told);
    else if (told.op === 'presence' && told.type === 'presence' && roster.has(told.user)) {
      roster.get(told.user).presence = { show: told.show, status: told.status };
      drawRoster();
    } else if (told.op === 'presence') readRoster();
    else if (told.op === 'closed') final = FINAL[told.reason] ?? null;
    else if (told.op === 'error') $('news').textContent = told.detail;
  };
  while (!signal.aborted) {
    let why = '';
    try {
      await wires[settings.wire]({ token: await token(), resource: settings.tab, room, place }, { open, event }, signal);
    } catch (error) {
      // What a browser says of a connection that it did not get, in words of its own.
      why = error instanceof TypeError ? ': the server does not answer' : `: ${error.message}`;
    }
    if (signal.aborted) return;
    ask = null;
    typing(null);
    drawRoster();
    if (final) return disconnect('bad', final);
    state('wait', `Not connected${why}; trying again`);
    // Not all at the same moment, when a server with many of them comes back.
    await pause(wait * (0.5 + Math.random()), signal);
    wait = Math.min(wait * 2, RETRY_MOST);
  }
}

function disconnect(kind, text) {
  running?.abort();
  running = null;
  ask = null;
  roster = new Map();
  settings.connected = false;
  keep(STORE, settings);
  state(kind, text);
  form();
  drawRoster();
}

function connect() {
  running?.abort();
  ask = null;
  roster = new Map();
  settings.connected = true;
  keep(STORE, settings);
  memory = load(`${STORE} ${settings.user}`) ?? { lines: [], at: {} };
  drawn.clear();
  $('lines').replaceChildren();
  $('news').textContent = '';
  memory.lines.forEach(draw);
  running = new AbortController();
  state('wait', 'Connecting');
  form();
  drawRoster();
  run(running.signal);
}

// --- the form ---

function form() {
  for (const name of ['user', 'kind', 'peer', 'room', 'wire']) $(name).value = settings[name];
  const room = settings.kind === 'room';
  $('peer-label').hidden = room;
  $('room-label').hidden = !room;
  $('peer').required = !room;
  $('room').required = room;
  $('connect').textContent = settings.connected ? 'Change' : 'Connect';
  $('leave').hidden = !settings.connected;
  $('text').disabled = $('send').disabled = !settings.connected;
  const { user, peer, wire } = settings;
  const other = room ? { user: peer === user ? 'bob' : peer, kind: 'room', room: settings.room, peer: user, wire } : { user: peer, peer: user, wire };
  $('other').href = `/live-demo?${new URLSearchParams(other)}`;
}

function take() {
  for (const name of ['user', 'kind', 'peer', 'room', 'wire']) settings[name] = $(name).value.trim();
  keep(STORE, settings);
}

$('kind').addEventListener('change', () => {
  settings.kind = $('kind').value;
  form();
});
$('who').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  take();
  connect();
  $('text').focus();
});
$('leave').addEventListener('click', async () => {
  // The others need not wait until the server is sure that nobody comes back.
  await request({ op: 'presence', show: 'offline' });
  disconnect('off', 'Not connected');
  $('connect').focus();
});
document.addEventListener('visibilitychange', () => {
  if (ask) tellReceipts();
});

const asked = new URLSearchParams(location.search);
if (asked.has('user') && !load(STORE)) {
  for (const name of ['user', 'kind', 'peer', 'room', 'wire']) if (asked.get(name)) settings[name] = asked.get(name);
  settings.connected = true;
}
form();
if (settings.connected) connect();
