// The operators' console: signing in and choosing a section. Each section is a module of its own.

import { auditSection } from "./admin-audit.js";
import { boardsSection } from "./admin-boards.js";
import { keysSection } from "./admin-keys.js";
import { overviewSection } from "./admin-overview.js";
import { reviewSection } from "./admin-review.js";
import { settingsSection } from "./admin-settings.js";
import { typesSection } from "./admin-types.js";
import { usersSection } from "./admin-users.js";
import { el } from "./laurels-dom.js";
import { accountButton, askToSignIn } from "./signin.js";
import { signOut, whoAmI } from "./session.js";

/** `show(place, { signal, rest, who })` fills a section; `signal` ends what it started. */
const SECTIONS = [
  { name: "overview", title: "Overview", show: overviewSection, roles: ["moderator", "admin"] },
  { name: "users", title: "Users", show: usersSection, roles: ["moderator", "admin"] },
  { name: "review", title: "Review", show: reviewSection, roles: ["moderator", "admin"] },
  { name: "types", title: "Action types", show: typesSection, roles: ["admin"] },
  { name: "boards", title: "Boards", show: boardsSection, roles: ["admin"] },
  { name: "audit", title: "Audit", show: auditSection, roles: ["admin"] },
  { name: "keys", title: "API keys", show: keysSection, roles: ["admin"] },
  { name: "settings", title: "Settings", show: settingsSection, roles: ["admin"] },
];

const $ = (id) => document.getElementById(id);
let shown = new AbortController();

function open() {
  shown.abort();
  shown = new AbortController();
  const who = whoAmI();
  const allowed = SECTIONS.filter(({ roles }) => roles.includes(who?.role));
  document.body.dataset.view = allowed.length ? "ready" : "gate";
  $("who").replaceChildren(...(who ? [el("bdi", {}, who.username), el("span", {}, who.role)] : []));
  $("gate").textContent = who ? `${who.username} is a ${who.role}: sign in as moderator or admin.` : "Sign in with an account that is moderator or admin.";
  const [name, ...rest] = location.hash.slice(1).split("/");
  const current = allowed.find((section) => section.name === name) ?? allowed[0];
  $("sections").replaceChildren(...allowed.map((section) => tab(section, section === current)));
  $("sections").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  $("section").replaceChildren();
  document.title = `${current?.title ?? "Console"} · Laurels`;
  if (!current) return;
  const place = el("div", {}, el("h1", {}, current.title));
  $("section").append(place);
  current.show(place, { signal: shown.signal, rest: rest.map(decodeURIComponent), who });
}

function tab({ name, title }, isCurrent) {
  return el("li", {}, el("a", { href: `#${name}`, "aria-current": isCurrent && "page" }, title));
}

$("enter").addEventListener("click", async () => {
  if (whoAmI()) await signOut();
  if (await askToSignIn()) accountChanged();
});
function accountChanged() {
  $("account").textContent = "Sign out";
  open();
}
addEventListener("hashchange", open);
accountButton($("account"), open);
