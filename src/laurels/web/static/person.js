// The page of a person: places, score over time, completed actions; for its owner also the ledger in plain words.

import { scoreChart } from "./chart.js";
import { finder } from "./finder.js";
import { date, dateAndTime, words } from "./format.js";
import { Laurels } from "./laurels.js";
import { el } from "./laurels-dom.js";
import { ledgerView } from "./ledger.js";
import { token } from "./session.js";
import { accountButton } from "./signin.js";

const $ = (id) => document.getElementById(id);
const laurels = new Laurels(undefined, { token });
const name = lastPart(location.pathname);
let person = null;
let me = null;

async function start() {
  document.body.dataset.view = "loading";
  try {
    const boards = laurels.boards();
    const path = `/api/users/${encodeURIComponent(name)}`;
    const [found, history, known] = await Promise.all([laurels.get(path), laurels.get(`${path}/history?days=90`), boards]);
    show(found, history, known);
  } catch (error) {
    if (error.status === 404 || error.status === 422) return showUnknown();
    $("trouble").textContent = error.detail ?? "The server cannot be reached. No point is lost meanwhile.";
    document.body.dataset.view = "unreachable";
  }
}

function show(found, history, boards) {
  person = found;
  document.title = `${person.username} · Laurels`;
  $("person_name").replaceChildren(el("bdi", {}, person.username));
  $("facts").replaceChildren(el("li", {}, `here since ${date(person.member_since)}`));
  $("places").replaceChildren(...person.places.map((place) => placeView(place, boards)));
  $("history").replaceChildren(...historyView(history));
  $("done").replaceChildren(doneView(person.done));
  document.body.dataset.view = "ready";
  showLedger();
}

function showUnknown() {
  document.title = "Unknown person · Laurels";
  $("person_name").textContent = "Unknown person";
  $("unknown_name").textContent = name;
  document.body.dataset.view = "unknown";
}

function placeView({ board, rank, score, total_users: total }, boards) {
  const called = boards.find(({ slug }) => slug === board)?.name ?? board;
  const inTop = rank !== null && rank <= 3;
  const seen = el("span", { class: "place", "data-rank": rank }, inTop && el("i", { class: "wreath", "aria-hidden": "true" }), el("span", {}, rank === null ? "–" : words.number(rank)));
  const told = score === null ? "not on this board yet" : `${words.number(score)} points, place ${rank === null ? "not known yet" : words.number(rank)} of ${words.number(total)}`;
  return el("li", {}, el("a", { href: `/#${encodeURIComponent(board)}` }, seen, el("strong", {}, el("bdi", {}, called)), el("small", {}, told)));
}

function historyView({ days, complete }) {
  if (days.length === 0) return [el("p", { class: "none" }, "Nothing was scored in the last 90 days.")];
  const rows = days.toReversed().map(({ day, score }) => el("tr", {}, el("th", { scope: "row" }, date(day)), el("td", { class: "number" }, words.number(score))));
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Day"), el("th", { scope: "col", class: "number" }, "Score at its end")));
  const table = el("details", {}, el("summary", {}, "The same as numbers"), el("table", { class: "rows" }, head, el("tbody", {}, rows)));
  return [scoreChart(days), !complete && el("p", { class: "none" }, "Only the newest actions are drawn: there are very many."), table].filter(Boolean);
}

function doneView(done) {
  if (done.length === 0) return el("p", { class: "none" }, "Nothing yet.");
  const rows = done.map(({ action_type: type, count, last_at: last }) =>
    el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, type)), el("td", { class: "number" }, `${words.number(count)} ×`), el("td", { class: "when" }, `last ${dateAndTime(last)}`)),
  );
  return el("table", { class: "rows" }, el("caption", { class: "spoken" }, "What was completed, how often, and when last"), el("tbody", {}, rows));
}

async function showLedger() {
  const mine = person !== null && me?.username === person.username;
  $("ledger_part").hidden = !mine;
  if (mine) await ledgerView($("ledger"), token);
}

function lastPart(path) {
  const part = path.split("/").at(-1);
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Not valid text, so not a name.
  }
}

$("retry").addEventListener("click", start);
finder($("find"), $("found"), $("found_count"));
accountButton($("account"), (who) => {
  me = who;
  if (person) showLedger();
});
start();
