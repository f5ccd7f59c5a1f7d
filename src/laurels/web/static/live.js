// Keeps one socket to one board alive: reconnects with jitter, notices silence, sleeps while the page is hidden.

import { parseExact } from "./exact.js";

const BASE_MS = 500;
const CAP_MS = 15_000;
const HANDSHAKE_MS = 10_000;
const SILENCE_MS = 60_000;
const HIDDEN_MS = 60_000;
const UNKNOWN_BOARD = 4404;

/** Full jitter: anywhere between nothing and the doubled ceiling, so that a thousand pages do not come back at once. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 10));
}

export class LiveBoard {
  #slug;
  #on;
  #socket = null;
  #attempt = 0;
  #retry = 0;
  #silence = 0;
  #sleep = 0;
  #paused = false;
  #listening = new AbortController();

  /** `on` is { frame(board), state("live" | "reconnecting" | "offline"), unknown() }. */
  constructor(slug, on) {
    this.#slug = slug;
    this.#on = on;
    this.#listen();
    this.connect();
    this.#visibilityChanged();
  }

  /** Connect now, whatever was being waited for. */
  connect() {
    this.#drop();
    const socket = new WebSocket(address(this.#slug));
    this.#socket = socket;
    this.#expectWithin(HANDSHAKE_MS);
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code }) => this.#closed(code);
    this.#on.state(downState());
  }

  /** Stop for good: no event fires after this. */
  stop() {
    this.#listening.abort();
    clearTimeout(this.#sleep);
    this.#drop();
  }

  #received(data) {
    this.#expectWithin(SILENCE_MS);
    const frame = read(data);
    if (frame?.type !== "board") return; // A heartbeat, or a kind this page is too old to know.
    this.#attempt = 0;
    this.#on.state("live");
    this.#on.frame(frame);
  }

  #closed(code) {
    this.#drop();
    if (code === UNKNOWN_BOARD) {
      this.stop();
      this.#on.unknown();
      return;
    }
    this.#on.state(downState());
    this.#retry = setTimeout(() => this.connect(), backoff(this.#attempt++));
  }

  /** A peer that vanished without a word never fires `close`: silence is taken for one. */
  #expectWithin(milliseconds) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#closed(), milliseconds);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #pause() {
    this.#paused = true;
    this.#drop();
    this.#on.state("offline");
  }

  #resume() {
    clearTimeout(this.#sleep);
    this.#paused = false;
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    this.#attempt = 0;
    this.connect();
  }

  #listen() {
    const options = { signal: this.#listening.signal };
    document.addEventListener("visibilitychange", () => this.#visibilityChanged(), options);
    addEventListener("online", () => this.#paused || this.#resume(), options);
    // The network went: what is open may be dead. It may also be this very machine, so keep trying, do not give up.
    addEventListener("offline", () => this.#paused || this.#closed(), options);
    addEventListener("pagehide", () => this.#pause(), options);
    addEventListener("pageshow", ({ persisted }) => persisted && this.#resume(), options);
  }

  #visibilityChanged() {
    clearTimeout(this.#sleep);
    if (document.hidden) this.#sleep = setTimeout(() => this.#pause(), HIDDEN_MS);
    else if (!this.#socket || this.#paused) this.#resume();
  }
}

function address(slug) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/api/live?board=${encodeURIComponent(slug)}`;
}

function downState() {
  return navigator.onLine ? "reconnecting" : "offline";
}

function read(data) {
  try {
    return parseExact(data);
  } catch {
    console.warn("A frame that is not JSON was ignored.");
    return null;
  }
}
