// Laurels in the browser and in Node: live boards over one WebSocket, and actions over HTTP. No dependency.
// `Session` is the protocol without a socket (docs/protocol.md); `Laurels` gives it one and keeps it alive.

const BASE_MS = 500;
const CAP_MS = 15_000;
const BUSY_MS = 30_000;
const PATIENCE_MS = 10_000;
const SILENCE_MS = 60_000;
const HIDDEN_MS = 60_000;
const TRIES_BEFORE_POLLING = 3;
const SCORES = new Set(["score", "score_earned", "new_score"]);
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON with scores as BigInt, exact to 64 bits; any other integer of 16 digits and more is a string of its digits. */
export function parseExact(text) {
  const quoted = text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token));
  return JSON.parse(quoted, (key, value) => (SCORES.has(key) && /number|string/.test(typeof value) ? BigInt(value) : value));
}

/** Full jitter: anywhere below the doubled ceiling, so that a thousand pages do not come back at once. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10));
}

/** Milliseconds to wait before coming back after a close code; null: do not. 4401 asks for a fresh token first. */
export function comeBack(code, attempt, advised = null, random = Math.random) {
  if ([1002, 1003, 1007, 1008, 1009].includes(code) || (code >= 4400 && code < 4500 && code !== 4401)) return null;
  if (code >= 4100 && code < 4200) return BUSY_MS + backoff(attempt, random);
  return advised ?? backoff(attempt, random);
}

/** The board that a delta makes of the one it is based on; null when it is based on another. */
export function applyDelta(board, delta) {
  if (!board || board.version !== delta.base) return null;
  const rows = board.rows.slice(0, delta.length);
  for (const [place, row] of delta.rows) rows[place] = row;
  const { size, version, seq, as_of, rank_state, total_users } = delta;
  return { ...board, size, version, seq, as_of, rank_state, total_users, rows };
}

/** What the server refused: `code` is one of its stable codes. `unsettled`: unknown whether it counted, ask again. */
export class LaurelsError extends Error {
  constructor(code, detail, { status = 0, retryAfter = null, unsettled = false } = {}) {
    super(`${code}: ${detail}`);
    this.name = "LaurelsError";
    Object.assign(this, { code, detail, status, retryAfter, unsettled });
  }
}

/** What is subscribed and what is held of it: frames in, frames and news out. No socket, no clock. */
export class Session {
  #channels = new Map(); // name → { size, board, resyncing }; the server may send more rows than `size`: its frames say how many.

  channels = () => [...this.#channels.keys()];

  /** The board held of a channel, if any. */
  board(channel) {
    return this.#channels.get(channel)?.board ?? null;
  }

  /** Hold a channel, at the larger of the sizes asked for; the frame to send, or null when it is held so already. */
  subscribe(channel, size) {
    const held = this.#channels.get(channel);
    if (held && (size ?? 0) <= Math.max(held.size ?? 0, held.board?.size ?? 0)) {
      if (size > held.size) held.size = size;
      return null;
    }
    this.#channels.set(channel, { size, board: null });
    return this.#ask(channel);
  }

  unsubscribe(channel) {
    this.#channels.delete(channel);
    return { type: "unsubscribe", channel };
  }

  /** What to say on a new socket: what was held is asked for from where it was left. */
  greet(token) {
    for (const held of this.#channels.values()) held.resyncing = false;
    const asks = this.channels().map((channel) => this.#ask(channel));
    return token ? [{ type: "authenticate", token }, ...asks] : asks;
  }

  /** Take a frame: { send: frames to answer with, news: [[channel or null, type, detail]] }. Unknown types are ignored. */
  receive(frame) {
    const { type, channel, ...board } = frame;
    const held = this.#channels.get(channel);
    if (type === "error") return this.#refused(frame);
    if (type === "me") return news("me", "me", frame);
    if (["authenticated", "token_expiring", "drain"].includes(type)) return news(null, type, frame);
    if (!held) return NOTHING;
    if (type === "board") return this.#settle(channel, { ...held, board }, []);
    if (type === "delta") return this.#delta(held, frame);
    return ["subscribed", "activity"].includes(type) ? news(channel, type, frame) : NOTHING;
  }

  #delta(held, frame) {
    if (!held.board || frame.size < held.size || held.resyncing) return NOTHING;
    const board = applyDelta(held.board, frame);
    if (board) return this.#settle(frame.channel, { ...held, board }, frame.entered_top ?? []);
    this.#channels.set(frame.channel, { ...held, resyncing: true });
    return { send: [{ type: "resync", channel: frame.channel }], news: [] };
  }

  #settle(channel, held, entered) {
    if (held.board.size < held.size) return NOTHING; // Of the size that was asked for before.
    this.#channels.set(channel, { ...held, resyncing: false });
    return news(channel, "board", { board: held.board, entered });
  }

  #refused(frame) {
    const { channel, code } = frame;
    const told = this.#channels.has(channel) ? channel : null;
    if (code === "board_unknown") this.#channels.delete(channel);
    return news(told, "refused", frame);
  }

  #ask(channel) {
    const { size, board } = this.#channels.get(channel);
    return { type: "subscribe", channel, ...(size && { size }), ...(board && { since: board.version }) };
  }
}

const NOTHING = { send: [], news: [] };

function news(...one) {
  return { send: [], news: [one] };
}

/** A board as who asked for fewer rows sees it. */
function cut(event, size) {
  const { board, entered } = event;
  if (event.type !== "board" || board.rows.length <= size) return event;
  const rows = board.rows.slice(0, size);
  return { ...event, board: { ...board, rows }, entered: entered.filter((name) => rows.some((row) => row.username === name)) };
}

/** One server: `new Laurels("https://…", { token: () => myBackend.token() })`. Connects at the first subscription. */
export class Laurels {
  #session = new Session();
  #listeners = new Map(); // channel → Map of function → size
  #socket = null;
  #greeted = false; // Until then the greeting is what will be said.
  #state = "idle";
  #attempt = 0;
  #advised = null;
  #timers = {};
  #paused = false;
  #token;
  #options;
  #lifetime = new AbortController();

  /** `url` of the server (this page's own by default). Options: token (text or function), WebSocket, fetch, onState(state). */
  constructor(url = globalThis.location?.origin, options = {}) {
    this.url = String(url).replace(/\/$/, "");
    if (!/^https?:\/\/[^/]/.test(this.url)) throw new TypeError(`"${url}" is not the address of a server: it begins with http:// or https://`);
    this.#options = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch?.bind(globalThis), onState: () => {}, ...options };
    this.#watchPage();
  }

  /** idle, connecting, live, waiting (for the next try), polling (no socket to be had), paused (hidden), closed. */
  get state() {
    return this.#state;
  }

  /** Follow a board: `on({ type: "board", board, entered })` at each change, or `{ type: "refused", code }`. Stop: call the answer. */
  board(slug, { size = 10 } = {}, on) {
    return this.#follow(`board:${slug}`, size, on);
  }

  /** My own score and rank on each board, also when others moved me. Needs a token. */
  me = (on) => this.#follow("me", undefined, on);

  /** A sample of what is completed for a board. */
  activity = (slug, on) => this.#follow(`activity:${slug}`, undefined, on);

  /** Try now, whatever was being waited for. */
  connect() {
    this.#attempt = 0;
    this.#open();
  }

  /** Stop for good: nothing is called after this. */
  close() {
    this.#lifetime.abort();
    this.#listeners.clear();
    this.#drop();
    this.#become("closed");
  }

  boards = async ({ signal } = {}) => (await this.get("/api/boards", signal)).boards;

  top = (slug, { limit = 10, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}?limit=${limit}`, signal);

  /** The first rows of one of a board's windows, by its id: one that is over, say. */
  window = (slug, id, { limit = 10, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}/windows/${encodeURIComponent(id)}?limit=${limit}`, signal);

  around = (slug, username, { radius = 5, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}/around/${encodeURIComponent(username)}?radius=${radius}`, signal);

  /** Read anything else of the API. Throws LaurelsError. */
  get = (path, signal) => this.#request("GET", path, { signal });

  /** Start an action whose type asks for a ticket: { ticket, challenge, not_before, expires_at, … }. */
  start = (actionType) => this.#request("POST", "/api/actions/start", { body: JSON.stringify({ action_type: actionType }) });

  /** Complete an action; its receipt. Tried until `deadline` (ms) with one identifier, so that it counts once. */
  async complete(actionType, { identifier = crypto.randomUUID(), metadata, completedAt, ticket, deadline = 30_000 } = {}) {
    const body = JSON.stringify({ action_type: actionType, action_identifier: identifier, metadata, completed_at: completedAt, ticket });
    const giveUp = Date.now() + deadline;
    for (let attempt = 0; ; attempt++) {
      const failure = await this.#request("POST", "/api/actions/complete", { body }).then((receipt) => ({ receipt }), asFailure);
      if (failure.receipt) return failure.receipt;
      const wait = 1000 * (failure.retryAfter ?? 0) + backoff(attempt);
      if (!failure.unsettled || Date.now() + wait > giveUp) throw Object.assign(failure, { identifier });
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #follow(channel, size, on) {
    const others = this.#listeners.get(channel) ?? new Map();
    this.#listeners.set(channel, others.set(on, size));
    this.#say(this.#session.subscribe(channel, size));
    const board = this.#session.board(channel);
    if (board) queueMicrotask(() => others.has(on) && on(cut({ type: "board", board, entered: [] }, size)));
    if (["idle", "closed"].includes(this.#state)) this.#open();
    return () => this.#unfollow(channel, on);
  }

  #unfollow(channel, on) {
    const others = this.#listeners.get(channel);
    if (!others?.delete(on) || others.size) return;
    this.#listeners.delete(channel);
    this.#say(this.#session.unsubscribe(channel));
    if (this.#listeners.size === 0) this.#rest("idle");
  }

  async #open() {
    this.#drop();
    if (this.#lifetime.signal.aborted || this.#listeners.size === 0) return;
    this.#become("connecting");
    const socket = new this.#options.WebSocket(`${this.url.replace(/^http/, "ws")}/api/live`, ["laurels.v1"]);
    this.#socket = socket;
    this.#expectWithin(PATIENCE_MS);
    const token = this.#currentToken().catch(() => null);
    let opened = false;
    socket.onopen = async () => {
      opened = true;
      const shown = await token;
      if (socket !== this.#socket) return;
      this.#greeted = true;
      for (const frame of this.#session.greet(shown)) this.#say(frame);
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code }) => this.#closed(opened ? code : 1006); // A refused handshake is no verdict on this client.
    socket.onerror = () => {}; // A close follows.
  }

  #received(text) {
    this.#expectWithin(SILENCE_MS);
    const { send, news } = this.#session.receive(parseExact(text));
    for (const one of send) this.#say(one);
    for (const [channel, type, detail] of news) this.#tell(channel, type, detail);
  }

  #tell(channel, type, detail) {
    if (type === "drain") this.#advised = detail.retry_ms;
    if (type === "token_expiring") this.#renew();
    if (type === "subscribed" || type === "authenticated") {
      [this.#attempt, this.#advised] = [0, null];
      this.#become("live");
    }
    for (const [on, size] of [...(this.#listeners.get(channel) ?? [])]) on(cut({ ...detail, type }, size));
    if (type === "refused" && detail.code === "board_unknown") this.#listeners.delete(channel);
  }

  #closed(code) {
    this.#drop();
    if (code === 4401) this.#token = undefined;
    const wait = comeBack(code, this.#attempt++, this.#advised);
    this.#advised = null;
    if (wait === null) return this.#readOn();
    this.#timers.retry = setTimeout(() => this.#open(), wait);
    if (this.#attempt > TRIES_BEFORE_POLLING) this.#poll();
    else this.#become("waiting");
  }

  /** Not to come back with a socket: boards are public all the same, and read now and then. */
  #readOn() {
    const boards = this.#session.channels().some((channel) => channel.startsWith("board:"));
    if (!boards) return this.#rest("closed");
    this.#timers.retry = setTimeout(() => this.#readOn(), CAP_MS);
    this.#poll();
  }

  /** Where no socket gets through, boards are still read at each try. */
  async #poll() {
    const boards = this.#session.channels().filter((channel) => channel.startsWith("board:"));
    const read = async (channel) => {
      const limit = Math.max(...(this.#listeners.get(channel)?.values() ?? [1]));
      this.#tell(channel, "board", { board: await this.top(channel.slice(6), { limit }), entered: [] });
    };
    try {
      await Promise.all(boards.map(read));
      if (!this.#socket) this.#become("polling");
    } catch {
      if (!this.#socket) this.#become("waiting");
    }
  }

  async #renew() {
    if (typeof this.#options.token !== "function") return; // The one there is, is the one that ends.
    this.#token = undefined;
    const token = await this.#currentToken().catch(() => null);
    if (token) this.#say({ type: "authenticate", token });
  }

  async #currentToken() {
    const { token } = this.#options;
    this.#token ??= typeof token === "function" ? await token() : token;
    return this.#token;
  }

  #say(frame) {
    if (frame && this.#greeted && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** A peer that vanished without a word never closes: silence is taken for it. */
  #expectWithin(milliseconds) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#closed(1006), milliseconds);
  }

  #drop() {
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#timers.silence);
    const socket = this.#socket;
    this.#socket = null;
    this.#greeted = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #rest(state) {
    this.#drop();
    this.#become(state);
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onState(state);
  }

  #watchPage() {
    const page = globalThis.document;
    if (!page) return;
    const on = (target, type, act) => target.addEventListener(type, act, { signal: this.#lifetime.signal });
    const pause = () => {
      this.#paused = this.#listeners.size > 0;
      if (this.#paused) this.#rest("paused");
    };
    const resume = () => {
      clearTimeout(this.#timers.hidden);
      if (this.#paused || ["waiting", "polling"].includes(this.#state)) this.connect();
      this.#paused = false;
    };
    on(page, "visibilitychange", () => {
      if (page.hidden) this.#timers.hidden = setTimeout(pause, HIDDEN_MS);
      else resume();
    });
    on(globalThis, "online", () => this.#paused || resume());
    on(globalThis, "offline", () => this.#socket && this.#closed(1006)); // What is open may be dead; it may also be local.
    on(globalThis, "pagehide", pause);
    on(globalThis, "pageshow", ({ persisted }) => persisted && resume());
  }

  async #request(method, path, { body, signal, again = true } = {}) {
    const token = body && (await this.#currentToken());
    const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) };
    const limit = AbortSignal.timeout(PATIENCE_MS);
    const reply = await this.#options.fetch(this.url + path, { method, headers, body, signal: signal ?? limit });
    const text = await reply.text();
    if (reply.ok) return parseExact(text);
    const error = refusal(reply, text);
    if (error.code !== "token_expired" || !again || typeof this.#options.token !== "function") throw error;
    this.#token = undefined;
    return this.#request(method, path, { body, signal, again: false });
  }
}

function refusal(reply, text) {
  const { status } = reply;
  const problem = /json/.test(reply.headers.get("Content-Type")) ? JSON.parse(text) : {}; // Else a proxy's page.
  const retryAfter = Number(reply.headers.get("Retry-After")) || null;
  const unsettled = status === 429 || status >= 500;
  return new LaurelsError(problem.code ?? `http_${status}`, problem.detail ?? "no reason was given", { status, retryAfter, unsettled });
}

function asFailure(error) {
  return error instanceof LaurelsError ? error : new LaurelsError("connection_lost", String(error?.message ?? error), { unsettled: true });
}
