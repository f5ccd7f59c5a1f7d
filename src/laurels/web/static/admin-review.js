// Held actions that wait for a decision: what a detector found, and the buttons to accept or reject.

import { call } from "./admin-api.js";
import { ask, badge, button, cursor, filters, list, notify } from "./admin-parts.js";
import { dateAndTime, words } from "./format.js";
import { el } from "./laurels-dom.js";

/** The codes of the detectors (docs/detectors.md). */
const CODES = ["velocity", "points_velocity", "address_velocity", "identical_metadata", "metronome", "impossible_sequence", "still_suspect"];

export function reviewSection(place, { signal }) {
  const held = list({
    path: "/api/admin/review",
    caption: "Held actions, oldest first",
    empty: "Nothing waits. Actions that a detector finds suspicious appear here before they count.",
    columns: [
      { head: "Who", cell: (one) => [el("a", { href: `#users/${one.user_id}` }, el("bdi", {}, one.username)), el("small", { class: "below" }, dateAndTime(one.created_at))] },
      { head: "Action", cell: (one) => [el("strong", {}, el("bdi", {}, one.action_type)), el("small", { class: "below" }, el("bdi", {}, one.action_identifier)), metadataView(one.metadata)] },
      { head: "What looked wrong", cell: ({ code, detail }) => [badge(code, "held"), el("small", { class: "below" }, detail)] },
      { head: "Worth", kind: "number", cell: ({ score_earned: score }) => words.number(score) },
      { head: "", kind: "acts", cell: (one) => [button("Let it count", () => decide(one, "approve", held)), button("Reject", () => decide(one, "reject", held))] },
    ],
    rows: (answer) => answer.actions,
    next: cursor,
    signal,
  });
  place.append(filters([{ name: "code", label: "Held by", options: [["", "any detector"], ...CODES.map((code) => [code, code])] }], held.reload), held.element);
  held.reload();
}

export function metadataView(metadata) {
  if (metadata === null || metadata === undefined) return null;
  return el("details", {}, el("summary", {}, "metadata"), el("pre", {}, JSON.stringify(metadata, (_, one) => (typeof one === "bigint" ? String(one) : one), 1)));
}

async function decide(one, verdict, held) {
  const counts = verdict === "approve";
  const answer = await ask({
    title: counts ? `Let ${one.action_type} of ${one.username} count?` : `Reject ${one.action_type} of ${one.username}?`,
    consequences: counts
      ? [`${words.number(one.score_earned)} points count from the action's own time on, on every board that takes it.`]
      : ["It never counts. What it used up (caps, cooldowns, claims) is free again.", "It stays in the ledger as rejected."],
    fields: [{ name: "reason", label: "Reason (for the audit trail)", required: true }],
    confirm: counts ? "Let it count" : "Reject",
    danger: !counts,
    send: (values) => call("POST", `/api/admin/actions/${one.action_id}/${verdict}`, values),
  });
  if (!answer) return;
  notify(answer.status === "awarded" ? "It counts." : "It is rejected.");
  held.reload();
}
