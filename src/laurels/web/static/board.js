// The page of the live board: which board is chosen, what is on the screen for it, and in which state.

import { Announcer } from "./announce.js";
import { loadBoards, showTabs } from "./boards.js";
import { el } from "./dom.js";
import { number, people, time, windowSpan } from "./format.js";
import { backoff, LiveBoard } from "./live.js";
import { Rows } from "./rows.js";

const CHIP = { live: "Live", reconnecting: "Reconnecting…", offline: "Offline" };

const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/; // What else is asked for is refused before a socket opens, which no page can see.

const $ = (id) => document.getElementById(id);
const rows = new Rows($("board_rows"));
const announcer = new Announcer($("board_news"));

let boards = [];
let live = null;
let shown = null; // the frame on the screen
let failures = 0;
let retry = 0;

/** One of: loading, ready, empty, unreachable, unknown, none. The style sheet shows the part that belongs to it. */
function setView(view) {
  document.body.dataset.view = view;
  $("board").setAttribute("aria-busy", String(view === "loading"));
}

function setState(state) {
  document.documentElement.dataset.live = state;
  const word = state === "reconnecting" && !shown ? "Connecting…" : CHIP[state];
  if ($("state_word").textContent !== word) $("state_word").textContent = word;
}

function chosenSlug() {
  try {
    const slug = decodeURIComponent(location.hash.slice(1));
    if (slug) return slug;
  } catch {
    // A hash that is not valid text chooses nothing.
  }
  return (boards.find((board) => board.is_default) ?? boards[0])?.slug;
}

/** Follow the chosen board from nothing: the old rows are of another board. */
function follow() {
  const slug = chosenSlug();
  const board = boards.find((known) => known.slug === slug);
  live?.stop();
  shown = null;
  rows.clear();
  announcer.reset();
  showTabs($("tabs"), boards, slug);
  showHeading(board?.name ?? slug);
  $("facts").replaceChildren();
  if (!SLUG.test(slug)) {
    showUnknown(slug);
    return;
  }
  setView("loading");
  live = new LiveBoard(slug, {
    state: setState,
    frame: (frame) => accept(frame, board?.time_zone),
    unknown: () => showUnknown(slug),
  });
}

/** Frames may overtake each other on the way; an index that was rebuilt or a window that began counts from the start. */
function isStale(frame) {
  if (!shown || frame.epoch !== shown.epoch) return false;
  if (frame.window?.starts_at !== shown.window?.starts_at) return frame.window?.starts_at < shown.window?.starts_at;
  return frame.seq < shown.seq;
}

function accept(frame, timeZone) {
  if (isStale(frame)) return;
  if (shown && frame.window?.starts_at !== shown.window?.starts_at) announcer.reset();
  shown = frame;
  const list = frame.rows.map((row) => ({ ...row, score: BigInt(row.score) }));
  showHeading(frame.name);
  showFacts(frame, timeZone);
  setView(list.length ? "ready" : "empty");
  reserveScoreWidth(list);
  rows.show(list);
  announcer.saw(list);
}

function showHeading(name) {
  if ($("board_title").textContent === name) return;
  $("board_title").replaceChildren(el("bdi", {}, name));
  $("board_caption").textContent = `${name}: the leading places, best first`;
  document.title = `${name} · Laurels`;
}

function showFacts(frame, timeZone) {
  const span = windowSpan(frame.window, timeZone);
  $("facts").replaceChildren(
    ...[
      span && el("li", { class: "span" }, span),
      el("li", { class: "total" }, people(frame.total_users)),
      el("li", { class: "updated" }, "updated ", el("time", { datetime: frame.as_of }, time(frame.as_of))),
      frame.rank_state === "rebuilding" && el("li", { class: "rebuilding" }, "places are being recounted"),
    ].filter(Boolean),
  );
}

/** The widest score decides the column, so that names keep all the room that is left. */
function reserveScoreWidth(list) {
  const digits = Math.max(5, ...list.map((row) => number(row.score).length));
  $("board_table").style.setProperty("--score-digits", digits);
  $("board_table").classList.toggle("long-scores", digits > 11);
}

function showUnknown(slug) {
  setState("offline");
  rows.clear();
  showHeading("No such board");
  $("facts").replaceChildren();
  $("unknown_name").textContent = slug;
  const home = boards.find((board) => board.is_default && board.slug !== slug);
  $("unknown_home").hidden = !home;
  if (home) $("unknown_home").href = `#${encodeURIComponent(home.slug)}`;
  setView("unknown");
}

async function start() {
  clearTimeout(retry);
  $("retry").disabled = true;
  try {
    boards = await loadBoards();
    failures = 0;
    if (boards.length) follow();
    else showNoBoards();
  } catch {
    showUnreachable();
  }
  $("retry").disabled = false;
}

function showNoBoards() {
  showHeading("Laurels");
  setState("offline");
  setView("none");
}

function showUnreachable() {
  setState("offline");
  setView("unreachable");
  retry = setTimeout(start, 1_000 + backoff(failures++));
}

$("retry").addEventListener("click", start);
addEventListener("hashchange", () => boards.length && follow());
addEventListener("online", () => document.body.dataset.view === "unreachable" && start());
setState("reconnecting");
start();
