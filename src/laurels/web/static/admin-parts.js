// The parts of the console's sections: lists read page by page, dialogs, and a line that reports what happened.

import { query, call } from "./admin-api.js";
import { el } from "./laurels-dom.js";

const TOLD_MS = 6_000;
let hush = 0;

/** Show a line at the foot of the page, and announce it to screen readers. */
export function notify(text) {
  const line = document.getElementById("told");
  clearTimeout(hush);
  line.textContent = text;
  hush = setTimeout(() => (line.textContent = ""), TOLD_MS);
}

export function problemLine(error) {
  return el("p", { class: "problem", role: "alert" }, error.detail ?? String(error));
}

export function button(text, act, kind = "quiet") {
  const made = el("button", { type: "button", class: kind }, text);
  made.addEventListener("click", act);
  return made;
}

export function badge(text, kind = text) {
  return el("span", { class: "badge", "data-kind": kind }, text);
}

/**
 * Return a list that is read page by page, as { element, reload(parameters) }. `columns`: [{ head, cell(row), kind? }];
 * `rows(answer)` returns the rows of an answer, `next(answer)` the parameters of the next page, or null.
 */
export function list({ path, columns, rows, next, empty, caption, signal }) {
  const body = el("tbody");
  const heads = columns.map(({ head, kind }) => el("th", { scope: "col", class: kind }, head));
  const table = el("table", { class: "rows" }, el("caption", { class: "spoken" }, caption), el("thead", {}, el("tr", {}, heads)), body);
  const state = el("div", { class: "state-of-list", "aria-live": "polite" });
  const element = el("div", { class: "list" }, el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, table), state);
  let given = {};

  async function read(page) {
    state.replaceChildren(el("p", { class: "none" }, "Reading…"));
    try {
      const answer = await call("GET", path + query({ ...given, ...page }), undefined, { signal });
      body.append(...rows(answer).map(draw));
      const behind = next(answer);
      state.replaceChildren(...(behind ? [button("Show more", () => read(behind))] : []));
      if (body.children.length === 0) state.replaceChildren(el("p", { class: "none" }, empty));
    } catch (error) {
      if (!signal.aborted) state.replaceChildren(problemLine(error), button("Try again", () => read(page)));
    }
  }

  function draw(row) {
    const [first, ...others] = columns;
    return el("tr", {}, el("th", { class: first.kind, scope: "row" }, first.cell(row)), others.map(({ head, cell, kind }) => labelledCell(head, cell(row), kind)));
  }

  function reload(parameters = given) {
    given = parameters;
    body.replaceChildren();
    return read({});
  }

  return { element, reload };
}

/** Return a cell with its own label, for phones, where there is no room for a table head. */
export function labelledCell(head, content, kind = null) {
  return el("td", { class: kind, "data-head": head || null }, el("div", {}, content));
}

/** Return the parameters of the next page for most lists. */
export function cursor({ next }) {
  return next ? { cursor: next } : null;
}

/** Return the fields that filter a list: [{ name, label, options? }]; `changed(values)` is called soon after each change. */
export function filters(fields, changed) {
  const inputs = fields.map((one) => [one.name, inputOf(one)]);
  const form = el("form", { class: "filters", role: "search" }, fields.map((one, i) => el("label", {}, el("span", {}, one.label), inputs[i][1])));
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => changed(Object.fromEntries(inputs.map(([name, input]) => [name, input.value.trim()]))), 250);
  };
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

/**
 * Show a dialog that sends its values and stays open on errors: { title, consequences: [text], fields, confirm, danger,
 * send(values) }. `fields`: [{ name, label, kind, value, options, required, help, read(text) }]. Resolves to the answer of `send`, or undefined.
 */
export function ask({ title, consequences = [], fields = [], confirm, danger = false, send, extra = [] }) {
  const inputs = fields.map((one) => [one, inputOf(one)]);
  const problem = el("p", { class: "problem", role: "alert" });
  const go = el("button", { type: "submit", class: danger ? "danger" : null }, confirm);
  const dialog = el("dialog", { class: "dialog wide-dialog", "aria-labelledby": "dialog_title", "aria-describedby": consequences.length ? "dialog_about" : null });
  const cancel = button("Cancel", () => dialog.close());
  const about = consequences.length > 0 && el("ul", { id: "dialog_about", class: "consequences" }, consequences.map((one) => el("li", {}, one)));
  const form = el("form", { novalidate: true }, el("h2", { id: "dialog_title" }, title), about, inputs.map(labelled), extra.map((one) => one(() => read(inputs))), problem, el("p", { class: "buttons" }, cancel, go));
  dialog.append(form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      go.disabled = true;
      try {
        answer = await send(read(inputs));
        dialog.close();
      } catch (error) {
        problem.textContent = error.path && error.path !== "$" ? `${error.path.slice(2)}: ${error.detail}` : (error.detail ?? error.message ?? String(error));
        inputs.find(([{ name }]) => error.path?.startsWith(`$.${name}`))?.[1].focus();
      }
      go.disabled = false;
    });
    const leave = () => dialog.close(); // Another section was chosen.
    addEventListener("hashchange", leave);
    dialog.addEventListener("close", () => {
      removeEventListener("hashchange", leave);
      dialog.remove();
      resolve(answer);
    });
    dialog.showModal();
  });
}

function read(inputs) {
  const values = {};
  for (const [{ name, label, required, read: convert = (text) => text }, input] of inputs) {
    const given = input.type === "checkbox" ? input.checked : input.value.trim();
    if (required && given === "") throw { path: `$.${name}`, detail: `${label} is missing.` };
    if (given === "" && !required) continue;
    try {
      values[name] = convert(given);
    } catch (error) {
      throw { path: `$.${name}`, detail: error.message };
    }
  }
  return values;
}

function labelled([{ label, help, kind }, input]) {
  if (kind === "checkbox") return el("label", { class: "field tick" }, input, el("span", {}, label));
  return el("label", { class: "field" }, el("span", {}, label), input, help && el("small", {}, help));
}

function inputOf({ name, kind = "text", value = "", options, required, rows = 8 }) {
  if (options) return el("select", { name }, options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  if (kind === "checkbox") return el("input", { name, type: "checkbox", checked: value === true });
  if (kind === "json") {
    const area = el("textarea", { name, rows, spellcheck: "false", class: "code" });
    area.value = value;
    return area;
  }
  return el("input", { name, type: kind, value, required, autocomplete: "off" });
}

/** Parsers of text fields; each throws an Error that says what is wrong. */
export const as = {
  integer(text) {
    if (!/^[-−]?\d{1,19}$/.test(text)) throw new Error("Give a whole number.");
    return BigInt(text.replace("−", "-"));
  },
  json(text) {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Error(`This is not JSON: ${error.message}`);
    }
  },
  names(text) {
    return text.split(",").map((one) => one.trim()).filter(Boolean);
  },
};

/** Show a secret once, ready to be copied. */
export function showSecret(title, secrets) {
  const lines = Object.entries(secrets).map(([label, secret]) => {
    const copy = button("Copy", () => navigator.clipboard?.writeText(secret).then(() => notify(`${label} copied.`)));
    return el("p", { class: "secret" }, el("span", {}, label), el("code", {}, secret), copy);
  });
  const dialog = el("dialog", { class: "dialog wide-dialog", "aria-labelledby": "secret_title" });
  const done = button("I have kept it", () => dialog.close(), "");
  dialog.append(el("h2", { id: "secret_title" }, title), el("p", { class: "consequences" }, "Shown only once. Anyone who has it can use it."), ...lines, el("p", { class: "buttons" }, done));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
