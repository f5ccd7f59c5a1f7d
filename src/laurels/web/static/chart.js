// Draws how a score grew as a step line: a score stays the same until the next action.

import { el, svg } from "./laurels-dom.js";
import { date, words } from "./format.js";

const WIDTH = 640;
const HEIGHT = 160;
const DAY_MS = 86_400_000;

/** `days`: [{ day: "2026-03-01", score: BigInt }], oldest first, at least one. `until`: milliseconds. */
export function scoreChart(days, until = Date.now()) {
  const points = days.map(({ day, score }) => [Date.parse(day), Number(score)]); // A pixel is coarser than a double.
  const from = points[0][0] - DAY_MS;
  const [low, high] = bounds(points.map(([, score]) => score));
  const x = (time) => ((time - from) / Math.max(until - from, DAY_MS)) * WIDTH;
  const y = (score) => HEIGHT - ((score - low) / (high - low)) * HEIGHT;
  const line = steps(points, x, y);
  const area = `${line}V${HEIGHT}H${x(points[0][0])}Z`;
  const first = days[0];
  const last = days.at(-1);
  const about = `From ${words.number(first.score)} on ${date(first.day)} to ${words.number(last.score)} on ${date(last.day)}.`;
  return el(
    "figure",
    { class: "history" },
    el("p", { class: "scale" }, words.number(BigInt(Math.round(high)))),
    svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": about },
      [0, 0.5, 1].map((part) => svg("path", { class: "grid", d: `M0 ${part * HEIGHT}H${WIDTH}` })),
      svg("path", { class: "area", d: area }),
      svg("path", { class: "line", d: line }),
    ),
    el("figcaption", {}, el("span", {}, date(from)), el("span", {}, "today")),
  );
}

/** Return the range of scores, from 0 or the lowest to the highest, never empty. */
function bounds(scores) {
  const low = Math.min(0, ...scores);
  const high = Math.max(0, ...scores);
  return high > low ? [low, high] : [low, low + 1];
}

function steps(points, x, y) {
  const path = points.map(([time, score], i) => (i ? `H${x(time)}V${y(score)}` : `M${x(time)} ${y(score)}`)).join("");
  return `${path}H${WIDTH}`;
}
