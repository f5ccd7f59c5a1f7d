// The node's live numbers, read every two seconds while the section is shown.

import { call } from "./admin-api.js";
import { labelledCell, problemLine } from "./admin-parts.js";
import { words } from "./format.js";
import { el, svg } from "./laurels-dom.js";

const PERIOD_MS = 2_000;
const READINGS = 60; // readings drawn: two minutes

/** Each number: its meaning, and the value beyond which it needs attention. */
const NUMBERS = [
  { member: "actions_per_second", title: "Actions a second", about: "over the last ten seconds", digits: 1, drawn: true },
  { member: "sockets", title: "Live sockets", about: "on this node" },
  { member: "queue_depth", title: "Queue", about: "actions waiting for a lane", alarm: 1_000 },
  { member: "journal_lag_seconds", title: "Lag", about: "seconds behind other nodes' commits", alarm: 5, digits: 1 },
  { member: "index_drift", title: "Drift", about: "standings the index holds otherwise than the ledger", alarm: 1 },
];

export async function overviewSection(place, { signal }) {
  const tiles = new Map(NUMBERS.map((one) => [one.member, tile(one)]));
  const members = el("tbody");
  const state = el("div", { "aria-live": "polite" });
  const head = el("tr", {}, el("th", { scope: "col" }, "Board"), el("th", { scope: "col", class: "number" }, "People"));
  place.append(
    el("p", { class: "lead" }, "This node, now."),
    el("dl", { class: "tiles" }, [...tiles.values()].map(({ element }) => element)),
    state,
    el("table", { class: "rows" }, el("caption", { class: "spoken" }, "People on each board"), el("thead", {}, head), members),
  );
  for (;;) {
    try {
      const stats = await call("GET", "/api/admin/stats", undefined, { signal });
      for (const [member, { show }] of tiles) show(stats[member]);
      members.replaceChildren(...Object.entries(stats.members).map(boardRow));
      state.replaceChildren();
      place.classList.remove("stale");
    } catch (error) {
      if (signal.aborted) return;
      place.classList.add("stale");
      state.replaceChildren(problemLine(error));
    }
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    if (signal.aborted) return;
  }
}

function tile({ title, about, alarm = Infinity, digits = 0, drawn = false }) {
  const value = el("dd", {}, "–");
  const line = drawn && sparkline();
  const element = el("div", { class: "tile" }, el("dt", {}, title), value, el("dd", { class: "about" }, about), line && el("dd", { class: "spark" }, line.element));
  const show = (number) => {
    if (line) line.add(number);
    value.textContent = words.number(Number(number.toFixed(digits)));
    element.toggleAttribute("data-alarm", number >= alarm);
  };
  return { element, show };
}

/** Draw the last readings as a line, hidden from screen readers: the number is beside it. */
function sparkline() {
  const line = svg("polyline", {});
  const seen = [];
  const add = (number) => {
    seen.push(number);
    if (seen.length > READINGS) seen.shift();
    const highest = Math.max(1, ...seen);
    line.setAttribute("points", seen.map((one, i) => `${READINGS - seen.length + i},${20 - (18 * one) / highest}`).join(" "));
  };
  return { add, element: svg("svg", { viewBox: `0 0 ${READINGS - 1} 21`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" }, line) };
}

function boardRow([slug, count]) {
  return el("tr", {}, el("th", { scope: "row" }, el("a", { href: `/#${slug}` }, slug)), labelledCell("People", words.number(count), "number"));
}
