// Action types and their rules: list, create and edit them, and try rules before they are saved.

import { call } from "./admin-api.js";
import { as, ask, badge, button, cursor, filters, list, problemLine, notify } from "./admin-parts.js";
import { words } from "./format.js";
import { el } from "./laurels-dom.js";

const PATH = "/api/admin/action-types";

export function typesSection(place, { signal }) {
  const types = list({
    path: PATH,
    caption: "Action types",
    empty: "No action type matches.",
    columns: [
      { head: "Name", cell: (one) => [el("strong", {}, el("bdi", {}, one.name)), el("small", { class: "below" }, one.description)] },
      { head: "Base score", kind: "number", cell: ({ base_score: score }) => words.number(score) },
      { head: "Rules", cell: ({ scoring_rules: rules }) => rulesInShort(rules) },
      { head: "", kind: "acts", cell: (one) => [one.is_active ? null : badge("inactive"), button("Edit", () => edit(one, types))] },
    ],
    rows: (answer) => answer.action_types,
    next: cursor,
    signal,
  });
  const chosen = filters([{ name: "prefix", label: "Name begins with" }, { name: "active", label: "Show", options: [["", "all"], ["true", "active"], ["false", "inactive"]] }], types.reload);
  place.append(el("div", { class: "tools" }, chosen, button("New action type", () => create(types), "")), types.element);
  types.reload();
}

function rulesInShort(rules) {
  const names = Object.keys(rules).filter((name) => name !== "version");
  return names.length ? names.map((name) => badge(name.replaceAll("_", " "), "rule")) : el("span", { class: "none" }, "always counts");
}

async function create(types) {
  const made = await ask({
    title: "New action type",
    fields: [{ name: "name", label: "Name", required: true, help: "What apps send as action_type. It stays." }, ...fieldsOf({}), { name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Make it",
    send: (values) => call("POST", PATH, values),
  });
  if (made) {
    notify(`Action type ${made.name} is there; every node knows it within a second.`);
    types.reload();
  }
}

async function edit(one, types) {
  const saved = await ask({
    title: `Edit ${one.name}`,
    consequences: ["What was awarded stays as it was; the new rules count from the next action on, on every node within a second."],
    fields: [...fieldsOf(one), { name: "is_active", label: "Active: actions of this type are accepted", kind: "checkbox", value: one.is_active }, { name: "reason", label: "Reason (for the audit trail)" }],
    extra: [(values) => tryOut(one.name, values)],
    confirm: "Save",
    send: (values) => call("PATCH", `${PATH}/${encodeURIComponent(one.name)}`, { ...values, version: one.version }),
  });
  if (saved) {
    notify(`${saved.name} is saved.`);
    types.reload();
  }
}

function fieldsOf({ description = "", base_score: score = 10, scoring_rules: rules = {} }) {
  return [
    { name: "description", label: "Description", value: description },
    { name: "base_score", label: "Base score", value: String(score), required: true, read: as.integer },
    { name: "scoring_rules", label: "Rules (JSON)", kind: "json", rows: 9, value: JSON.stringify(rules, null, 2), required: true, read: as.json, help: "{} always counts. See docs/rules.md." },
  ];
}

/** Return the form that tries the rules, saved or not, on a real user; nothing is written. */
function tryOut(name, values) {
  const user = el("input", { autocomplete: "off", "aria-label": "Username to try with", placeholder: "username" });
  const metadata = el("input", { autocomplete: "off", "aria-label": "Metadata as JSON", placeholder: '{"accuracy": 0.9}', class: "code" });
  const verdict = el("div", { class: "verdict", "aria-live": "polite" });
  const run = button("Try it", async () => {
    try {
      const { base_score, scoring_rules } = values();
      const body = { username: user.value.trim(), base_score, scoring_rules, ...(metadata.value.trim() && { metadata: as.json(metadata.value) }) };
      verdict.replaceChildren(verdictView(await call("POST", `${PATH}/${encodeURIComponent(name)}/try`, body)));
    } catch (error) {
      verdict.replaceChildren(problemLine(error.message ? { detail: error.message } : error));
    }
  });
  return el("fieldset", { class: "trial" }, el("legend", {}, "Try it out, without saving"), el("div", { class: "trial-line" }, user, metadata, run), verdict);
}

function verdictView({ verdict, score, new_score: after, detail, rule, code, reason }) {
  const told = {
    awarded: () => `It would count: ${words.number(score)} points, then ${words.number(after)} in all.`,
    held: () => `It would be held for review${reason ? `: ${reason}` : ""}.`,
    refused: () => `It would be refused (${code}${rule ? `, by ${rule}` : ""}): ${detail}`,
  };
  return el("p", {}, badge(verdict), " ", told[verdict]());
}
