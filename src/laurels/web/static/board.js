// The page of the live board: choosing a board and one of its windows, and what surrounds it.
// The board itself is the element that any other page may use too.

import { showTabs } from "./boards.js";
import { finder } from "./finder.js";
import { windowSpan, words } from "./format.js";
import { backoff, Laurels } from "./laurels.js";
import "./laurels-board.js";
import { el } from "./laurels-dom.js";
import { token, whoAmI } from "./session.js";
import { accountButton } from "./signin.js";

const CHIP = { live: "Live", polling: "Every few seconds", over: "Final", connecting: "Connecting…", waiting: "Reconnecting…" };
const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/;

const $ = (id) => document.getElementById(id);
const laurels = new Laurels();
let boards = [];
let shown = null; // the board on the screen
let failures = 0;
let retry = 0;

/** starting, unreachable, unknown and none are shown by the page; following (or in trouble), ready and empty by the board. */
function setView(view) {
  document.body.dataset.view = view;
}

function setState(state) {
  document.documentElement.dataset.live = state;
  const told = state === "connecting" && shown ? CHIP.waiting : (CHIP[state] ?? "Offline");
  const word = navigator.onLine || state === "live" ? told : "Offline";
  if ($("state_word").textContent !== word) $("state_word").textContent = word;
}

/** Return { slug, window } of the hash: "#points-weekly/12" is a window that is over. */
function chosen() {
  try {
    const [slug, window] = decodeURIComponent(location.hash.slice(1)).split("/", 2);
    if (slug) return { slug, window };
  } catch {
    // A hash that is not valid text selects nothing.
  }
  return { slug: (boards.find((board) => board.is_default) ?? boards[0])?.slug };
}

/** Follow the chosen board from an empty one: the old rows are of another board. */
function follow() {
  const { slug, window } = chosen();
  const board = boards.find((known) => known.slug === slug);
  shown = null;
  showTabs($("tabs"), boards, slug);
  showHeading(board?.name ?? slug);
  $("facts").replaceChildren();
  if (!SLUG.test(slug) || (window !== undefined && !/^\d{1,18}$/.test(window))) return showUnknown(slug);
  setView("following");
  $("overlay").href = `/overlay/${slug}`;
  $("place").replaceChildren(boardElement(slug, window));
  showWindows(board, window);
}

function boardElement(slug, window) {
  const who = whoAmI();
  const element = el("laurels-board", { board: slug, window, people: "/u/{name}", user: who?.username });
  if (who) element.token = token;
  element.addEventListener("laurels-board", ({ detail }) => accept(detail));
  element.addEventListener("laurels-state", ({ detail: { state, view } }) => {
    if (!element.isConnected) return;
    if (view === "unknown") return showUnknown(slug);
    setState(state);
    setView(["ready", "empty"].includes(view) ? view : "following");
  });
  return element;
}

async function showWindows(board, window) {
  $("windows").hidden = true;
  if (!board || board.period === "all_time") return;
  const { windows } = await laurels.get(`/api/boards/${board.slug}/windows?limit=52`).catch(() => ({ windows: [] }));
  if (chosen().slug !== board.slug || windows.length < 2) return;
  const [now, ...earlier] = windows;
  const zone = board.calendar.time_zone;
  const option = ({ id }, text) => el("option", { value: id, selected: String(id) === window }, text);
  $("window").replaceChildren(option({ id: "" }, `Now · ${windowSpan(now, zone)}`), ...earlier.map((one) => option(one, windowSpan(one, zone))));
  $("windows").hidden = false;
}

function accept({ board }) {
  shown = board;
  showHeading(board.name);
  const span = windowSpan(board.window, boards.find((known) => known.slug === board.board)?.calendar.time_zone);
  $("facts").replaceChildren(
    ...[
      span && el("li", { class: "span" }, span),
      el("li", { class: "total" }, words.say("people", { n: board.total_users })),
      el("li", { class: "updated" }, "updated ", el("time", { datetime: board.as_of }, words.time(board.as_of))),
      board.rank_state === "rebuilding" && el("li", { class: "rebuilding" }, words.say("rebuilding")),
    ].filter(Boolean),
  );
}

function showHeading(name) {
  if ($("board_title").textContent === name) return;
  $("board_title").replaceChildren(el("bdi", {}, name));
  document.title = `${name} · Laurels`;
}

function showUnknown(slug) {
  $("place").replaceChildren();
  setState("closed");
  showHeading("No such board");
  $("facts").replaceChildren();
  $("windows").hidden = true;
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
    boards = await laurels.boards();
    failures = 0;
    if (boards.length) follow();
    else {
      showHeading("Laurels");
      setState("closed");
      setView("none");
    }
  } catch {
    setState("waiting");
    setView("unreachable");
    retry = setTimeout(start, 1_000 + backoff(failures++));
  }
  $("retry").disabled = false;
}

$("retry").addEventListener("click", start);
$("window").addEventListener("change", () => {
  const { slug } = chosen();
  location.hash = $("window").value ? `${slug}/${$("window").value}` : slug;
});
addEventListener("hashchange", () => boards.length && follow());
addEventListener("online", () => document.body.dataset.view === "unreachable" && start());
finder($("find"), $("found"), $("found_count"));
accountButton($("account"), () => boards.length && follow());
setState("connecting");
start();
