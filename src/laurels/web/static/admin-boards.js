// Create, rename, cap and archive boards. What a rank means is fixed for a board's life.

import { call } from "./admin-api.js";
import { as, ask, badge, button, cursor, filters, list, notify } from "./admin-parts.js";
import { el } from "./laurels-dom.js";

const PATH = "/api/admin/boards";
const UNITS = { "": "never: one window for all time", hour: "hour", day: "day", week: "week", month: "month", quarter: "quarter", year: "year" };
const WEEKDAYS = { "": "Monday", monday: "Monday", tuesday: "Tuesday", wednesday: "Wednesday", thursday: "Thursday", friday: "Friday", saturday: "Saturday", sunday: "Sunday" };
const CALENDAR = ["every", "interval", "first_day", "at", "anchor", "cron", "time_zone"];
const options = (words) => Object.entries(words);

export function boardsSection(place, { signal }) {
  const boards = list({
    path: PATH,
    caption: "Boards",
    empty: "No board matches.",
    columns: [
      { head: "Board", cell: (one) => [el("strong", {}, el("bdi", {}, one.name)), el("small", { class: "below" }, one.slug)] },
      { head: "Counts", cell: countsView },
      { head: "State", cell: (one) => [badge(one.state), one.is_default ? badge("default", "rule") : null] },
      { head: "", kind: "acts", cell: (one) => [button("Edit", () => edit(one, boards)), one.is_default ? null : button(one.state === "archived" ? "Show again" : "Archive", () => archive(one, boards))] },
    ],
    rows: (answer) => answer.boards,
    next: cursor,
    signal,
  });
  const chosen = filters([{ name: "archived", label: "Show", options: [["", "all"], ["false", "open"], ["true", "archived"]] }], boards.reload);
  place.append(el("div", { class: "tools" }, chosen, button("New board", () => create(boards), "")), boards.element);
  boards.reload();
}

const countsView = ({ summary }) => el("span", { class: "summary" }, summary);

/** Gathers the fields of the form that say when windows begin into the member `calendar`; empty ones are left out. */
function withCalendar(values) {
  const said = Object.entries(values).filter(([name, value]) => CALENDAR.includes(name) && value !== "" && value !== null);
  const others = Object.entries(values).filter(([name]) => !CALENDAR.includes(name));
  return { ...Object.fromEntries(others), calendar: Object.fromEntries(said) };
}

async function create(boards) {
  const made = await ask({
    title: "New board",
    consequences: ["What counted before is folded into it first; then everybody sees it.", "Order, aggregate, ties, calendar and types stay as they are made."],
    fields: [
      { name: "slug", label: "Address", required: true, help: "Small letters, digits and hyphens: monthly-quiz" },
      { name: "name", label: "Name", required: true },
      { name: "aggregate", label: "A person's score is", options: options({ sum: "the sum of points", best: "the best single action", latest: "the latest action" }) },
      { name: "order", label: "First is", options: options({ desc: "the highest score", asc: "the lowest score" }) },
      { name: "ties", label: "Equal scores", options: options({ ordinal: "1 2 3 4: who was first", competition: "1 2 2 4", dense: "1 2 2 3" }) },
      { name: "every", label: "Starts again every", options: options(UNITS) },
      { name: "interval", label: "Every how many of these", value: "1", read: as.integer, help: "2: every second one. More than 1 needs the date below." },
      { name: "first_day", label: "Weeks begin on", options: options(WEEKDAYS) },
      { name: "at", label: "At the time of day", help: "Such as 04:00. Empty: midnight" },
      { name: "anchor", label: "One window starts on the date", help: "Such as 2026-11-02. Empty: the first day of the unit" },
      { name: "cron", label: "Or: starts again when a cron expression fires", help: "Five fields, instead of the above: 0 20 * * FRI" },
      { name: "time_zone", label: "Time zone", value: "UTC" },
      { name: "action_types", label: "Only these action types", read: as.names, help: "Names with commas between; empty: all of them" },
      { name: "reason", label: "Reason (for the audit trail)" },
    ],
    confirm: "Make it",
    send: (values) => call("POST", PATH, withCalendar(values)),
  });
  if (made) {
    notify(`Board ${made.name} is being filled.`);
    boards.reload();
  }
}

async function edit(one, boards) {
  const cap = one.is_default ? [{ name: "daily_points_cap", label: "Most points of one person and day", value: one.daily_points_cap ?? "", read: as.integer, help: "Empty: no cap" }] : [];
  const saved = await ask({
    title: `Edit ${one.name}`,
    fields: [{ name: "name", label: "Name", value: one.name, required: true }, ...cap, { name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Save",
    send: (values) => call("PATCH", `${PATH}/${one.slug}`, { ...(one.is_default && { daily_points_cap: null }), ...values, version: one.version }),
  });
  if (saved) {
    notify(`${saved.name} is saved.`);
    boards.reload();
  }
}

async function archive(one, boards) {
  const away = one.state !== "archived";
  const saved = await ask({
    title: away ? `Archive ${one.name}?` : `Show ${one.name} again?`,
    consequences: away ? ["It is no longer visible, and screens that show it learn that it is gone.", "Nothing is lost: it can be shown again."] : ["What counted meanwhile is folded in first; then everybody sees it."],
    fields: [{ name: "reason", label: "Reason (for the audit trail)" }],
    confirm: away ? "Archive" : "Show again",
    danger: away,
    send: (values) => call("PATCH", `${PATH}/${one.slug}`, { ...values, archived: away, version: one.version }),
  });
  if (saved) {
    notify(away ? `${one.name} is archived.` : `${one.name} is being filled.`);
    boards.reload();
  }
}
