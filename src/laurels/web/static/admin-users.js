// Find and show users; change their roles and passwords.

import { call } from "./admin-api.js";
import { ledgerOf } from "./admin-ledger.js";
import { ask, badge, button, cursor, filters, labelledCell, list, problemLine, showSecret, notify } from "./admin-parts.js";
import { sanctionButtons } from "./admin-sanctions.js";
import { date, words } from "./format.js";
import { el } from "./laurels-dom.js";

const PATH = "/api/admin/users";
const ANY = ["", "any"];

export function usersSection(place, { signal, rest: [id], who }) {
  if (id) return userView(place, id, { signal, who });
  const users = list({
    path: PATH,
    caption: "Users",
    empty: "No user matches.",
    columns: [
      { head: "Name", cell: (one) => [el("a", { href: `#users/${one.id}` }, el("bdi", {}, one.username)), el("small", { class: "below" }, one.email ?? "")] },
      { head: "Score", kind: "number", cell: ({ score }) => words.number(score) },
      { head: "Role", cell: ({ role }) => (role === "player" ? "player" : badge(role, "rule")) },
      { head: "Status", cell: ({ status }) => badge(status) },
      { head: "Since", cell: ({ created_at: at }) => date(at) },
    ],
    rows: (answer) => answer.users,
    next: cursor,
    signal,
  });
  const fields = [
    { name: "prefix", label: "Name begins with" },
    { name: "status", label: "Status", options: [ANY, ...["active", "shadowed", "banned", "erased"].map((one) => [one, one])] },
    { name: "role", label: "Role", options: [ANY, ...["player", "moderator", "admin"].map((one) => [one, one])] },
    { name: "sort", label: "Order", options: [["newest", "newest first"], ["name", "by name"], ["score", "by score"]] },
  ];
  place.append(filters(fields, users.reload), users.element);
  users.reload();
}

async function userView(place, id, { signal, who }) {
  const heading = place.querySelector("h1");
  const part = el("div", {}, el("p", { class: "none" }, "Reading…"));
  place.prepend(el("p", { class: "crumb" }, el("a", { href: "#users" }, "Users")));
  place.append(part);
  const reload = async () => {
    try {
      const { user, places } = await call("GET", `${PATH}/${encodeURIComponent(id)}`, undefined, { signal });
      heading.replaceChildren(el("bdi", {}, user.username));
      part.replaceChildren(facts(user), acts(user, who, reload), placesTable(places), ledgerOf(user, { signal, changed: reload }));
    } catch (error) {
      if (!signal.aborted) part.replaceChildren(problemLine(error));
    }
  };
  await reload();
}

function facts(user) {
  const one = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
  return el("dl", { class: "facts-of" }, one("Status", badge(user.status)), one("Role", user.role), one("Score", words.number(user.score)), one("Since", date(user.created_at)), user.email && one("E-mail", user.email), one("Id", el("code", {}, `user:${user.id}`)));
}

function acts(user, who, reload) {
  const mine = user.username === who.username;
  const admin = who.role === "admin";
  return el(
    "p",
    { class: "buttons start" },
    el("a", { class: "button-like", href: `/u/${encodeURIComponent(user.username)}` }, "Public page"),
    ...sanctionButtons(user, who, reload),
    admin && !mine && button("Change role", () => changeRole(user, reload)),
    admin && !mine && button("New password", () => newPassword(user)),
  );
}

function placesTable(places) {
  const rows = places.map(({ board, rank, score }) => el("tr", {}, el("th", { scope: "row" }, board), labelledCell("Place", rank === null ? "–" : words.number(rank), "number"), labelledCell("Score", score === null ? "–" : words.number(score), "number")));
  const heads = ["Board", "Place", "Score"].map((head, i) => el("th", { scope: "col", class: i ? "number" : null }, head));
  return el("table", { class: "rows" }, el("caption", { class: "spoken" }, "Places"), el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows));
}

async function changeRole(user, reload) {
  const saved = await ask({
    title: `Role of ${user.username}`,
    consequences: ["A moderator reviews actions and bans users. An admin may do everything that is in this console.", "It counts from the next request on."],
    fields: [{ name: "role", label: "Role", value: user.role, options: ["player", "moderator", "admin"].map((role) => [role, role]) }, { name: "allow_similar", label: "Also if another name could be taken for this one", kind: "checkbox" }, { name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Change role",
    send: (values) => call("PUT", `${PATH}/${user.id}/role`, values),
  });
  if (!saved) return;
  notify(`${saved.username} is ${saved.role} now.`);
  reload();
}

async function newPassword(user) {
  const made = await ask({
    title: `New password for ${user.username}?`,
    consequences: ["The old password ends, and so does every session.", "The new one is generated and shown once: hand it over by a safe way."],
    fields: [{ name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Set a new password",
    danger: true,
    send: (values) => call("POST", `${PATH}/${user.id}/password`, values),
  });
  if (made) showSecret(`The new password of ${user.username}`, { Password: made.password });
}
