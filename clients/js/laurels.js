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

/** Parse JSON with scores as BigInt, exact to 64 bits; any other integer of 16 digits or more becomes a string. */
export function parseExact(text) {
  const quoted = text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token));
  return JSON.parse(quoted, (key, value) => (SCORES.has(key) && /number|string/.test(typeof value) ? BigInt(value) : value));
}

/** Return a delay with full jitter below a doubling ceiling, so that many pages do not reconnect at once. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10));
}

/** Return the milliseconds to wait before reconnecting after a close code; null: do not. 4401 needs a fresh token. */
export function comeBack(code, attempt, advised = null, random = Math.random) {
  if ([1002, 1003, 1007, 1008, 1009].includes(code) || (code >= 4400 && code < 4500 && code !== 4401)) return null;
  if (code >= 4100 && code < 4200) return BUSY_MS + backoff(attempt, random);
  return advised ?? backoff(attempt, random);
}

/** Apply a delta to a board; return null if it is based on another one. */
export function applyDelta(board, delta) {
  if (!board || board.version !== delta.base) return null;
  const rows = board.rows.slice(0, delta.length);
  for (const [place, row] of delta.rows) rows[place] = row;
  const { size, version, seq, as_of, rank_state, total_users } = delta;
  return { ...board, size, version, seq, as_of, rank_state, total_users, rows };
}

/** A refusal of the server: `code` is one of its stable codes. `unsettled`: unknown whether it counted; send it again. */
export class LaurelsError extends Error {
  constructor(code, detail, { status = 0, retryAfter = null, unsettled = false } = {}) {
    super(`${code}: ${detail}`);
    this.name = "LaurelsError";
    Object.assign(this, { code, detail, status, retryAfter, unsettled });
  }
}

/** Subscriptions and their boards: frames in, frames and news out. No socket, no clock. */
export class Session {
  #channels = new Map(); // name → { size, board, resyncing }; the server may send more rows than `size`.

  channels = () => [...this.#channels.keys()];

  /** Return the board of a channel, if any. */
  board(channel) {
    return this.#channels.get(channel)?.board ?? null;
  }

  /** Subscribe to a channel at the largest requested size; return the frame to send, or null if there is none. */
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

  /** Return the first frames on a new socket: each channel resumes from its version. */
  greet(token) {
    for (const held of this.#channels.values()) held.resyncing = false;
    const asks = this.channels().map((channel) => this.#ask(channel));
    return token ? [{ type: "authenticate", token }, ...asks] : asks;
  }

  /** Handle a frame: { send: frames to answer with, news: [[channel or null, type, detail]] }. Ignores unknown types. */
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
    if (held.board.size < held.size) return NOTHING; // Of an earlier, smaller size.
    this.#channels.set(channel, { ...held, resyncing: false });
    return news(channel, "board", { board: held.board, entered });
  }

  #refused(frame) {
    const known = this.#channels.has(frame.channel) ? frame.channel : null;
    if (frame.code === "board_unknown") this.#channels.delete(frame.channel);
    return news(known, "refused", frame);
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

/** Return a board cut to fewer rows. */
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
  #greeted = false; // Until then all frames are part of the greeting.
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

  /** idle, connecting, live, waiting (for the next try), polling (no socket available), paused (hidden), closed. */
  get state() {
    return this.#state;
  }

  /** Follow a board: `on({ type: "board", board, entered })` at each change, or `{ type: "refused", code }`. Returns a function that stops. */
  board(slug, { size = 10 } = {}, on) {
    return this.#follow(`board:${slug}`, size, on);
  }

  /** Follow the user's own score and rank on each board, also when others change them. Needs a token. */
  me = (on) => this.#follow("me", undefined, on);

  /** Follow a sample of the completions for a board. */
  activity = (slug, on) => this.#follow(`activity:${slug}`, undefined, on);

  /** Retry now instead of waiting. */
  connect() {
    this.#attempt = 0;
    this.#open();
  }

  /** Stop permanently: no listener is called after this. */
  close() {
    this.#lifetime.abort();
    this.#listeners.clear();
    this.#drop();
    this.#become("closed");
  }

  boards = async ({ signal } = {}) => (await this.get("/api/boards", signal)).boards;

  top = (slug, { limit = 10, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}?limit=${limit}`, signal);

  /** Read the first rows of one of a board's windows, by its id. */
  window = (slug, id, { limit = 10, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}/windows/${encodeURIComponent(id)}?limit=${limit}`, signal);

  around = (slug, username, { radius = 5, signal } = {}) => this.get(`/api/boards/${encodeURIComponent(slug)}/around/${encodeURIComponent(username)}?radius=${radius}`, signal);

  /** Read any other path of the API. Throws LaurelsError. */
  get = (path, signal) => this.#request("GET", path, { signal });

  /** Start an action whose type needs a ticket: { ticket, challenge, not_before, expires_at, … }. */
  start = (actionType) => this.#request("POST", "/api/actions/start", { body: JSON.stringify({ action_type: actionType }) });

  /** Complete an action and return its receipt. Retried until `deadline` (ms) with one identifier, so it counts once. */
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
    socket.onclose = ({ code }) => this.#closed(opened ? code : 1006); // A refused handshake says nothing about this client.
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

  /** Give up the socket; boards are still public and are polled. */
  #readOn() {
    if (!this.#boardChannels().length) return this.#rest("closed");
    this.#timers.retry = setTimeout(() => this.#readOn(), CAP_MS);
    this.#poll();
  }

  /** Read the boards at each try while no socket gets through. */
  async #poll() {
    const read = async (channel) => {
      const limit = Math.max(...(this.#listeners.get(channel)?.values() ?? [1]));
      this.#tell(channel, "board", { board: await this.top(channel.slice(6), { limit }), entered: [] });
    };
    try {
      await Promise.all(this.#boardChannels().map(read));
      if (!this.#socket) this.#become("polling");
    } catch {
      if (!this.#socket) this.#become("waiting");
    }
  }

  #boardChannels = () => this.#session.channels().filter((channel) => channel.startsWith("board:"));

  async #renew() {
    if (typeof this.#options.token !== "function") return; // A fixed token can't be renewed.
    this.#token = undefined;
    const token = await this.#currentToken().catch(() => null);
    if (token) this.#say({ type: "authenticate", token });
  }

  async #currentToken() {
    const { token } = this.#options;
    return (this.#token ??= typeof token === "function" ? await token() : token);
  }

  #say(frame) {
    if (frame && this.#greeted && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** Close after silence: a peer that vanished never sends a close. */
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
    on(globalThis, "offline", () => this.#socket && this.#closed(1006)); // The socket may be dead, or the server local.
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

function refusal({ status, headers }, text) {
  const problem = /json/.test(headers.get("Content-Type")) ? JSON.parse(text) : {}; // Otherwise a proxy's page.
  const retryAfter = Number(headers.get("Retry-After")) || null;
  const unsettled = status === 429 || status >= 500;
  return new LaurelsError(problem.code ?? `http_${status}`, problem.detail ?? "no reason was given", { status, retryAfter, unsettled });
}

function asFailure(error) {
  return error instanceof LaurelsError ? error : new LaurelsError("connection_lost", String(error?.message ?? error), { unsettled: true });
}
