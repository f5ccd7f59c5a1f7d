// Sanctions of a user: ban, shadow, adjust, erase. Each dialog names the consequences first.

import { call } from "./admin-api.js";
import { as, ask, button, notify } from "./admin-parts.js";
import { words } from "./format.js";

const REASON = { name: "reason", label: "Reason (for the audit trail)", required: true };

const SANCTIONS = {
  banned: {
    act: "Ban",
    title: (name) => `Ban ${name}?`,
    consequences: ["Signed out within a second on every node; cannot sign in, complete or watch as themselves.", "Gone from every board; everybody below moves up.", "Lifting the ban brings back exactly what they had."],
    done: "is banned.",
  },
  shadowed: {
    act: "Shadow",
    title: (name) => `Shadow ${name}?`,
    consequences: ["They go on playing and see themselves on the boards; no one else sees them there.", "They are not notified.", "Lifting it brings back exactly what they had."],
    done: "is shadowed.",
  },
  active: {
    act: "Lift",
    title: (name) => `Let ${name} back in?`,
    consequences: ["Back on every board with exactly the score they had; ranks change at once."],
    done: "is back.",
  },
};

/** Return the buttons that `who` may press for this user; `changed()` is called after each act. */
export function sanctionButtons(user, who, changed) {
  if (user.status === "erased" || user.username === who.username) return [];
  if (who.role !== "admin" && user.role !== "player") return []; // Moderators act on players only.
  const path = `/api/admin/users/${user.id}`;
  const statuses = (user.status === "active" ? ["shadowed", "banned"] : ["active", ...["shadowed", "banned"].filter((one) => one !== user.status)]);
  const sanctions = statuses.map((status) => button(SANCTIONS[status].act, () => sanction(user, path, status, changed)));
  return who.role === "admin" ? [...sanctions, button("Adjust score", () => adjust(user, path, changed)), button("Erase", () => erase(user, path))] : sanctions;
}

async function sanction(user, path, status, changed) {
  const { act, title, consequences, done } = SANCTIONS[status];
  const answer = await ask({ title: title(user.username), consequences, fields: [REASON], confirm: act, danger: status !== "active", send: (values) => call("PUT", `${path}/status`, { ...values, status }) });
  if (!answer) return;
  notify(`${user.username} ${done}`);
  changed();
}

async function adjust(user, path, changed) {
  const name = crypto.randomUUID(); // Made before the first request, so that a repeated one adjusts nothing.
  const answer = await ask({
    title: `Adjust the score of ${user.username}`,
    consequences: [`It is ${words.number(user.score)} now. The adjustment is a row of the ledger, which they see with its reason.`, "Ranks change at once."],
    fields: [{ name: "points", label: "Points to add; to take, with a minus", required: true, read: as.integer }, REASON],
    confirm: "Adjust",
    danger: true,
    send: (values) => call("POST", `${path}/adjust`, { ...values, adjustment_identifier: name }),
  });
  if (!answer) return;
  notify(`The score of ${user.username} is ${words.number(answer.new_score)} now.`);
  changed();
}

async function erase(user, path) {
  const answer = await ask({
    title: `Erase ${user.username}?`,
    consequences: ["Name, e-mail address, password, sessions and the metadata of actions are deleted for good.", "The rows of the ledger stay under a pseudonym, because the ranks and archives of others rest on them.", "This cannot be undone."],
    fields: [{ name: "username", label: `Type the name of the user to confirm: ${user.username}`, required: true }, { ...REASON, required: false }],
    confirm: "Erase for good",
    danger: true,
    send: (values) => call("POST", `${path}/erase`, values),
  });
  if (!answer) return;
  notify("Erased.");
  location.hash = "users";
}
