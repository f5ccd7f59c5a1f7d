// A user's ledger, row by row, and the reversal of a row.

import { call } from "./admin-api.js";
import { ask, badge, button, cursor, list, notify } from "./admin-parts.js";
import { metadataView } from "./admin-review.js";
import { dateAndTime, words } from "./format.js";
import { el } from "./laurels-dom.js";

/** Return the list of a user's rows; `changed()` is called after a reversal. */
export function ledgerOf(user, { signal, changed }) {
  const rows = list({
    path: `/api/admin/users/${user.id}/ledger`,
    caption: `The ledger of ${user.username}, newest first`,
    empty: "No row yet.",
    columns: [
      { head: "When", cell: (row) => [dateAndTime(row.created_at), el("small", { class: "below" }, `row ${row.action_id}`)] },
      { head: "What", cell: (row) => [el("strong", {}, el("bdi", {}, row.action_type ?? row.kind)), el("small", { class: "below" }, el("bdi", {}, row.action_identifier ?? "")), metadataView(row.metadata)] },
      { head: "Counts", kind: "number", cell: ({ counted }) => words.number(BigInt(counted)) },
      { head: "State", cell: stateView },
      { head: "", kind: "acts", cell: (row) => reversible(row) && button("Reverse", () => reverse(row, user, rows, changed)) },
    ],
    rows: (answer) => answer.rows,
    next: cursor,
    signal,
  });
  rows.reload();
  return el("section", {}, el("h2", {}, "Ledger"), rows.element);
}

function stateView({ kind, status, reason, reversed_by: undone, held_code: code, held_detail: detail, decided_by: by, decision_reason: why }) {
  const notes = [reason, code && `${code}: ${detail}`, by && `decided by ${by}: ${why ?? ""}`].filter(Boolean);
  return [badge(kind === "completion" ? status : kind, status), undone !== null && badge("reversed"), notes.map((note) => el("small", { class: "below" }, note))].flat();
}

function reversible({ kind, status, reversed_by: undone }) {
  return kind !== "reversal" && status === "awarded" && undone === null;
}

async function reverse(row, user, rows, changed) {
  const answer = await ask({
    title: `Reverse row ${row.action_id} of ${user.username}?`,
    consequences: ["A compensating row is added: nothing is deleted.", "Every board is folded as if this action had never been there; ranks change at once.", "A reversal cannot be reversed: adjust the score instead."],
    fields: [{ name: "reason", label: "Reason (for the audit trail)", required: true }],
    confirm: "Reverse it",
    danger: true,
    send: (values) => call("POST", `/api/admin/actions/${row.action_id}/reverse`, values),
  });
  if (!answer) return;
  notify(`Undone. The score is ${words.number(answer.new_score)} now.`);
  rows.reload();
  changed();
}
