// The audit trail: changes by hand, their authors and reasons. It is append-only.

import { cursor, filters, list } from "./admin-parts.js";
import { dateAndTime } from "./format.js";
import { el } from "./laurels-dom.js";

export function auditSection(place, { signal }) {
  const trail = list({
    path: "/api/admin/audit",
    caption: "Audit trail, newest first",
    empty: "No entry matches.",
    columns: [
      { head: "When", cell: ({ at }) => el("time", { datetime: at }, dateAndTime(at)) },
      { head: "Who", cell: ({ actor }) => el("code", {}, actor) },
      { head: "What", cell: ({ act, subject }) => [el("strong", {}, act), el("small", { class: "below" }, subject)] },
      { head: "Why", cell: ({ reason }) => reason ?? el("span", { class: "none" }, "–") },
      { head: "Change", cell: change },
    ],
    rows: (answer) => answer.entries,
    next: cursor,
    signal,
  });
  const chosen = filters([{ name: "actor", label: "Who, exactly" }, { name: "subject", label: "What was changed, exactly" }, { name: "act", label: "Act, exactly" }], trail.reload);
  place.append(chosen, trail.element);
  trail.reload();
}

function change({ before, after, request_id: request }) {
  const json = (value) => el("pre", {}, JSON.stringify(value, (_, one) => (typeof one === "bigint" ? Number(one) : one), 1));
  return el("details", {}, el("summary", {}, "show"), before && json(before), after && json(after), request && el("small", {}, `request ${request}`));
}
