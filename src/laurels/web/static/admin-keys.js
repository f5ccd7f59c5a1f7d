// Create, rotate and revoke API keys of servers.

import { call } from "./admin-api.js";
import { as, ask, badge, button, cursor, list, showSecret, notify } from "./admin-parts.js";
import { dateAndTime } from "./format.js";
import { el } from "./laurels-dom.js";

const PATH = "/api/admin/keys";
const SCOPES = {
  "actions:write": "complete actions for users",
  "admin:read": "read whatever is in this console",
  "catalogue:write": "change action types and boards",
  "corrections:write": "review, reverse and adjust, for players",
  "users:write": "ban, shadow, erase and reset passwords, of players",
  "keys:write": "make, rotate and revoke keys that may do no more than itself",
  "settings:write": "change settings",
  "index:write": "check and rebuild the index",
};

export function keysSection(place, { signal }) {
  const keys = list({
    path: PATH,
    caption: "API keys",
    empty: "No key has been made yet.",
    columns: [
      { head: "Name", cell: ({ name, id }) => [el("strong", {}, el("bdi", {}, name)), el("small", { class: "below" }, `key:${id}`)] },
      { head: "May", cell: ({ scopes }) => scopes.map((scope) => badge(scope, "rule")) },
      { head: "Last used", cell: ({ last_used_at: at }) => (at ? dateAndTime(at) : el("span", { class: "none" }, "never")) },
      { head: "", kind: "acts", cell: (one) => (one.revoked_at ? badge("revoked") : [button("New secret", () => rotate(one, keys)), button("Revoke", () => revoke(one, keys))]) },
    ],
    rows: (answer) => answer.keys,
    next: cursor,
    signal,
  });
  place.append(el("div", { class: "tools" }, button("New API key", () => create(keys), "")), keys.element);
  keys.reload();
}

async function create(keys) {
  const made = await ask({
    title: "New API key",
    fields: [
      { name: "name", label: "Name", required: true, help: "Which server holds it" },
      ...Object.entries(SCOPES).map(([scope, about]) => ({ name: scope, label: `${scope}: ${about}`, kind: "checkbox", value: scope === "actions:write" })),
    ],
    confirm: "Make it",
    send: ({ name, ...ticked }) => {
      const scopes = Object.keys(SCOPES).filter((scope) => ticked[scope]);
      if (scopes.length === 0) throw { path: "$.scopes", detail: "Tick what the key may do." };
      return call("POST", PATH, { name, scopes });
    },
  });
  if (made) show("The new API key", made, keys);
}

async function rotate(one, keys) {
  const made = await ask({
    title: `New secret for ${one.name}`,
    consequences: ["The old secret stays good for as long as you say; secrets before it end now."],
    fields: [{ name: "overlap_seconds", label: "Seconds for which the old one stays good", value: "86400", read: as.integer, required: true }, { name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Give a new secret",
    send: (values) => call("POST", `${PATH}/${one.id}/rotate`, values),
  });
  if (made) show("The new secret", made, keys);
}

function show(title, { api_key: key, signing_secret: secret }, keys) {
  keys.reload();
  showSecret(title, { "API key": key, "Signing secret": secret });
}

async function revoke(one, keys) {
  const ended = await ask({
    title: `Revoke ${one.name}?`,
    consequences: ["Whatever uses this key is refused within a second, on every node.", "This cannot be undone: make another key instead."],
    fields: [{ name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Revoke",
    danger: true,
    send: (values) => call("POST", `${PATH}/${one.id}/revoke`, values),
  });
  if (ended) {
    notify(`${one.name} is revoked.`);
    keys.reload();
  }
}
