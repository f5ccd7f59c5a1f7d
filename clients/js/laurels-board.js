// <laurels-board src="https://laurels.example.org" board="points" size="10" user="ada">: a live board in any page.
// Attributes and properties, CSS variables, parts and events: README.md.

import { Announcer } from "./laurels-announce.js";
import { el, wreath } from "./laurels-dom.js";
import { Rows } from "./laurels-rows.js";
import { lease } from "./laurels-shared.js";
import { STYLE } from "./laurels-style.js";
import { Words } from "./laurels-words.js";

const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/;
const AROUND = 1; // neighbours on each side of a row that is pinned
const PINNED_MS = 2_000; // a pinned row is read at most this often
const PINNED_IDLE_MS = 15_000; // and at least this often: others may have moved it
const CHIPS = { live: "live", polling: "polling", over: "over", connecting: "connecting", waiting: "reconnecting" };

let style; // One sheet for all boards of a page; created by script, so that the CSP need not allow inline styles.

export class LaurelsBoard extends HTMLElement {
  static observedAttributes = ["src", "board", "size", "user", "window", "lang"];

  /** Phrases (see laurels-words.js) and the `token` of the `me` channel; set both before the element is in a page. */
  phrases = {};
  token = undefined;

  #root = this.attachShadow({ mode: "open" });
  #lease = null;
  #stop = [];
  #rows;
  #pinned;
  #announcer;
  #words;
  #shown = null;
  #pin = { timer: 0, due: 0 };
  #fetching = new AbortController();
  #scheduled = false;

  connectedCallback() {
    style ??= sheet();
    this.#root.adoptedStyleSheets = [style];
    this.#schedule();
  }

  disconnectedCallback() {
    this.#leave();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#schedule();
  }

  /** Retry now instead of waiting. */
  retry() {
    if (this.#lease && !this.hasAttribute("window")) this.#lease.client.connect();
    else this.#begin();
  }

  /** Begin once after several attributes were set in a row. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.isConnected) this.#begin();
    });
  }

  async #begin() {
    this.#leave();
    this.#words = new Words(this.getAttribute("lang") || this.closest("[lang]")?.lang, this.phrases);
    this.#draw();
    this.#view("loading");
    this.#state("connecting");
    const { signal } = this.#fetching;
    this.#lease = lease(this.getAttribute("src") || undefined, this.token, (state) => this.#state(state));
    const { client } = this.#lease;
    try {
      const slug = this.getAttribute("board") || (await client.boards({ signal })).find((board) => board.is_default).slug;
      if (signal.aborted) return;
      if (!SLUG.test(slug)) this.#unknown(slug);
      else if (this.hasAttribute("window")) this.#show(await client.window(slug, this.getAttribute("window"), { limit: this.#size, signal }), "over");
      else this.#follow(client, slug);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) this.#unknown(this.getAttribute("board"));
      else this.#fail();
    }
  }

  get #size() {
    const size = Number.parseInt(this.getAttribute("size") ?? "10", 10);
    return Math.min(100, Math.max(1, size || 10));
  }

  #follow(client, slug) {
    this.#stop.push(client.board(slug, { size: this.#size }, (event) => this.#heard(event, slug)));
    if (this.token) this.#stop.push(client.me(({ boards }) => boards?.some((one) => one.board === slug) && this.#pinSoon(0)));
  }

  #heard({ type, board, entered, code }, slug) {
    if (type === "board") this.#show(board, null, entered);
    else if (type === "refused" && code === "board_unknown") this.#unknown(slug);
  }

  #leave() {
    this.#fetching.abort();
    this.#fetching = new AbortController();
    clearTimeout(this.#pin.timer);
    for (const stop of this.#stop.splice(0)) stop();
    this.#lease?.release();
    this.#lease = null;
    this.#shown = null;
    this.#announcer?.reset();
  }

  #show(board, state, entered = []) {
    const before = this.#shown;
    if (before && before.window.starts_at !== board.window.starts_at) this.#announcer.reset();
    this.#shown = board;
    if (state) this.#state(state);
    this.#root.querySelector("caption").textContent = this.#words.say("caption", { board: board.name });
    this.#reserveScoreWidth(board.rows);
    this.#rows.show(board.rows, this.#mine(board));
    this.#announcer.saw(board.rows);
    this.#view(board.rows.length ? "ready" : "empty");
    this.#status();
    this.#pinSoon(PINNED_MS);
    this.dispatchEvent(new CustomEvent("laurels-board", { bubbles: true, composed: true, detail: { board, entered } }));
  }

  /** Return the link of a name, from the attribute `people`, a URL with {name} in it. */
  #personPage(username) {
    const template = this.getAttribute("people");
    return template && template.replace("{name}", () => encodeURIComponent(username));
  }

  /** Return the user's name as the board spells it, if it is among the rows. */
  #mine(board) {
    const user = this.getAttribute("user")?.toLocaleLowerCase();
    return user ? (board.rows.find((row) => row.username.toLocaleLowerCase() === user)?.username ?? null) : null;
  }

  /** Schedule reading the user's own row, which is pinned below if it is not among the rows; at most every PINNED_MS. */
  #pinSoon(delay) {
    clearTimeout(this.#pin.timer);
    const user = this.getAttribute("user");
    if (!user || !this.#shown || this.hasAttribute("window")) return;
    if (this.#mine(this.#shown)) {
      this.#pinned.clear();
      return;
    }
    const wait = this.#pin.due === 0 ? 0 : Math.max(delay, this.#pin.due - Date.now());
    this.#pin.timer = setTimeout(() => this.#askForPin(user), wait);
  }

  async #askForPin(user) {
    this.#pin.due = Date.now() + PINNED_MS;
    const { signal } = this.#fetching;
    const around = await this.#lease.client.around(this.#shown.board, user, { radius: AROUND, signal }).catch(() => null);
    if (signal.aborted) return;
    const top = new Set(this.#shown.rows.map((row) => row.username));
    const rows = (around?.rows ?? []).filter((row) => !top.has(row.username));
    const mine = rows.find((row) => row.username.toLocaleLowerCase() === user.toLocaleLowerCase())?.username;
    if (mine) this.#pinned.show(rows, mine);
    else this.#pinned.clear();
    clearTimeout(this.#pin.timer);
    this.#pin.timer = setTimeout(() => this.#pinSoon(0), PINNED_IDLE_MS);
  }

  /** Size the score column by the widest score, so that names keep the remaining space. */
  #reserveScoreWidth(rows) {
    const digits = Math.max(5, ...rows.map((row) => this.#words.number(row.score).length));
    const table = this.#root.querySelector("table");
    table.style.setProperty("--score-digits", digits);
    table.classList.toggle("long-scores", digits > 11);
  }

  #unknown(slug) {
    this.#root.querySelector(".unknown .say").replaceChildren(...withName(this.#words.say("unknown", { board: "\0" }), slug ?? ""));
    this.#view("unknown");
    this.#state("closed");
  }

  #fail() {
    this.#view("unreachable");
    this.#state("waiting");
    const again = setTimeout(() => this.#begin(), 5_000 * (1 + Math.random()));
    this.#stop.push(() => clearTimeout(again));
  }

  #view(view) {
    this.setAttribute("view", view);
    this.setAttribute("aria-busy", String(view === "loading"));
    this.#tell();
  }

  #state(state) {
    if (state === "waiting" && !this.#shown) this.#view("unreachable");
    this.setAttribute("state", state);
    this.#status();
    this.#tell();
  }

  #status() {
    const state = this.getAttribute("state");
    const name = state === "connecting" && this.#shown ? "reconnecting" : (CHIPS[state] ?? "offline");
    const words = [this.#words.say(navigator.onLine ? name : "offline")];
    if (this.#shown) words.push(this.#words.say("people", { n: this.#shown.total_users }));
    if (this.#shown?.rank_state === "rebuilding") words.push(this.#words.say("rebuilding"));
    const text = words.join(" · ");
    const line = this.#root.querySelector(".status span");
    if (line && line.textContent !== text) line.textContent = text;
  }

  #tell() {
    const detail = { state: this.getAttribute("state"), view: this.getAttribute("view") };
    this.dispatchEvent(new CustomEvent("laurels-state", { bubbles: true, composed: true, detail }));
  }

  #draw() {
    const words = this.#words;
    const heads = ["place", "movement", "name", "score"].map((name) => words.say(name));
    const body = el("tbody", { class: "rows" });
    const pinned = el("tbody", { class: "pinned", "aria-label": words.say("me") });
    const news = el("p", { class: "spoken", role: "log", "aria-live": "polite", "aria-atomic": "true" });
    const retry = el("button", { type: "button", part: "button" }, words.say("retry"));
    retry.addEventListener("click", () => this.retry());
    this.#root.replaceChildren(
      el("table", { class: "board", part: "table" }, el("caption", { class: "spoken" }), columns(), header(heads), body, pinned),
      el("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: 5 }, () => el("i"))),
      notice("empty", words.say("empty"), words.say("emptyMore")),
      notice("unreachable", words.say("unreachable"), words.say("unreachableMore"), retry),
      notice("unknown", "", words.say("unknownMore")),
      el("p", { class: "status", part: "status", role: "status" }, el("i", { class: "lamp", "aria-hidden": "true" }), el("span")),
      news,
    );
    this.#rows = new Rows(body, words, (username) => this.#personPage(username));
    this.#pinned = new Rows(pinned, words, (username) => this.#personPage(username));
    this.#announcer = new Announcer(news, words);
  }
}

function sheet() {
  const made = new CSSStyleSheet();
  made.replaceSync(STYLE);
  return made;
}

function columns() {
  return el("colgroup", {}, ["rank", "move", "name", "score"].map((name) => el("col", { class: `col-${name}` })));
}

function header([place, movement, name, score]) {
  const cell = (kind, ...content) => el("th", { scope: "col", class: kind }, ...content);
  const row = [cell("rank", place), cell("move", el("span", { class: "spoken" }, movement)), cell("name", name), cell("score", score)];
  return el("thead", {}, el("tr", {}, row));
}

function notice(name, say, more, ...rest) {
  return el("section", { class: `notice ${name}`, role: name === "unreachable" && "alert" }, wreath("crest"), el("p", { class: "say" }, say), el("p", {}, more), rest);
}

/** Return the text with the name filled in, isolated from the direction of the surrounding text. */
function withName(text, name) {
  return text.split("\0").flatMap((part, i) => (i ? [el("bdi", {}, name), part] : [part]));
}

if (!customElements.get("laurels-board")) customElements.define("laurels-board", LaurelsBoard);
