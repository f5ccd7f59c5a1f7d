// Settings that every node follows while it runs.

import { call } from "./admin-api.js";
import { as, ask, badge, button, labelledCell, problemLine, notify } from "./admin-parts.js";
import { words } from "./format.js";
import { el } from "./laurels-dom.js";

const PATH = "/api/admin/settings";

export async function settingsSection(place, { signal }) {
  const body = el("tbody");
  const heads = ["Setting", "In force", "By the environment", ""].map((head) => el("th", { scope: "col" }, head));
  const state = el("div");
  place.append(
    el("p", { class: "lead" }, "Every node follows a change within a second."),
    el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Settings" }, el("table", { class: "rows" }, el("caption", { class: "spoken" }, "Settings"), el("thead", {}, el("tr", {}, heads)), body)),
    state,
  );
  const show = ({ settings }) => body.replaceChildren(...settings.map((one) => row(one, show)));
  try {
    show(await call("GET", PATH, undefined, { signal }));
  } catch (error) {
    if (!signal.aborted) state.replaceChildren(problemLine(error));
  }
}

function row(one, show) {
  const name = el("th", { scope: "row" }, one.name.replaceAll("_", " "), el("small", { class: "below" }, one.meaning));
  const acts = [button("Change", () => change(one, show)), one.overridden && button("Take back", () => takeBack(one, show))];
  const inForce = labelledCell("In force", [shown(one.value), " ", one.overridden && badge("changed", "rule")]);
  return el("tr", {}, name, inForce, labelledCell("By the environment", shown(one.default)), el("td", { class: "acts" }, acts));
}

function shown(value) {
  return typeof value === "boolean" ? (value ? "yes" : "no") : words.number(value);
}

async function change(one, show) {
  const bounds = one.minimum === null ? undefined : `${one.minimum} to ${one.maximum}`;
  const yesNo = typeof one.value === "boolean" && { options: [["true", "yes"], ["false", "no"]], read: (text) => text === "true" };
  const answer = await ask({
    title: `Change ${one.name.replaceAll("_", " ")}`,
    consequences: [one.meaning],
    fields: [{ name: one.name, label: "New value", value: String(one.value), required: true, help: bounds, read: as.integer, ...yesNo }, { name: "reason", label: "Reason (for the audit trail)" }],
    confirm: "Change",
    send: (values) => call("PATCH", PATH, values),
  });
  if (answer) {
    show(answer);
    notify("Changed on every node.");
  }
}

async function takeBack(one, show) {
  const answer = await ask({
    title: `Take the change of ${one.name.replaceAll("_", " ")} back?`,
    consequences: [`Each node follows its own environment again; here that is ${shown(one.default)}.`],
    confirm: "Take back",
    send: () => call("PATCH", PATH, { [one.name]: null }),
  });
  if (answer) show(answer);
}
