// The signed-in user's ledger in plain words: every row, what it counts and why, and the sum that makes the score.

import { dateAndTime, words } from "./format.js";
import { el } from "./laurels-dom.js";
import { parseExact } from "./laurels.js";

const PAGE = 25;

/** Fill `place` with the ledger of the user of `token()`, newest first, page by page. */
export async function ledgerView(place, token) {
  const entries = el("ol", { class: "entries" });
  const more = el("p", { class: "more" });
  const sum = el("p", { class: "sum" });
  place.replaceChildren(sum, entries, more);

  async function read(cursor) {
    more.replaceChildren(el("span", { class: "none" }, "Reading…"));
    try {
      const ledger = await ask(`/api/me/ledger?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, token);
      sum.textContent = sumInWords(ledger);
      entries.append(...ledger.rows.map(entry));
      more.replaceChildren(...(ledger.next ? [button("Show older", () => read(ledger.next))] : []));
      if (entries.children.length === 0) more.replaceChildren(el("span", { class: "none" }, "Your first action will stand here."));
    } catch (error) {
      const problem = el("span", { class: "problem", role: "alert" }, error.detail ?? "Your ledger cannot be read just now.");
      more.replaceChildren(problem, " ", button("Try again", () => read(cursor)));
    }
  }

  await read(null);
}

async function ask(path, token) {
  const reply = await fetch(path, { headers: { Authorization: `Bearer ${await token()}` } });
  const answer = parseExact(await reply.text());
  if (!reply.ok) throw answer;
  return answer;
}

function sumInWords({ score, sum }) {
  const all = `All rows together: ${words.number(BigInt(sum))}.`;
  return BigInt(sum) === score ? `${all} That is your score.` : `${all} Your score on the main board: ${words.number(score)}.`;
}

function entry(row) {
  const { kind, status, reason, reversed_by: undone, completed_at: at, action_identifier: identifier } = row;
  const points = BigInt(row.points);
  const sign = points === 0n ? null : points > 0n ? "plus" : "minus";
  const worth = points === 0n ? "0" : `${points > 0n ? "+" : "−"}${words.number(points > 0n ? points : -points)}`;
  const notes = [dateAndTime(at), reason, undone !== null && "undone later"].filter(Boolean).join(" · ");
  return el("li", { "data-status": status }, el("span", {}, ...what(kind, status, row.action_type)), el("span", { class: "worth", "data-sign": sign }, worth), el("small", {}, notes, identifier && [" · ", el("bdi", {}, identifier)]));
}

function what(kind, status, type) {
  const name = el("strong", {}, el("bdi", {}, type ?? ""));
  if (kind === "reversal") return ["An earlier row was undone", type && ": ", type && name].filter(Boolean);
  if (kind === "adjustment") return ["Adjusted by hand"];
  if (status === "held") return ["You completed ", name, ": it is reviewed first"];
  if (status === "rejected") return ["You completed ", name, ": found not to count"];
  return ["You completed ", name];
}

function button(text, act) {
  const made = el("button", { type: "button", class: "quiet" }, text);
  made.addEventListener("click", act);
  return made;
}
