// The page of the API docs: fetches the OpenAPI document, draws every operation, filters them.

import { curl } from "./curl.js";
import { parseExact } from "./laurels.js";
import { el } from "./laurels-dom.js";
import { mainContent, problemCodes, Spec } from "./openapi.js";
import { inline, prose } from "./prose.js";
import { parameterView, schemaView } from "./schema.js";

const SOURCE = "/api/openapi.json";

const $ = (id) => document.getElementById(id);
let drawn = []; // { text, article, entry }: the text to search, and the elements to show or hide

async function start() {
  try {
    const reply = await fetch(SOURCE, { headers: { Accept: "application/json" } });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    show(new Spec(parseExact(await reply.text())));
  } catch (error) {
    console.warn("The API description could not be shown:", error);
    document.body.dataset.view = "unreachable";
  }
}

function show(spec) {
  const { title, version, description } = spec.document.info;
  $("docs_title").textContent = title;
  $("docs_version").textContent = `version ${version}`;
  $("docs_about").replaceChildren(...prose(description));
  const groups = spec.groups();
  $("groups").replaceChildren(...groups.map((group) => groupView(spec, group)), problemsView(spec.document["x-problems"] ?? []));
  $("index").replaceChildren(...groups.map(indexView));
  drawn = spec.operations().map(searchable);
  document.body.dataset.view = "ready";
  filter();
  goToAnchor();
}

/** Scroll to the anchor, which did not exist when the browser looked for it. */
function goToAnchor() {
  if (location.hash.length > 1) location.replace(location.hash);
}

function groupView(spec, group) {
  return el(
    "section",
    { class: "group", "aria-label": group.name },
    el("h2", {}, group.name),
    prose(group.description),
    group.operations.map((operation) => operationView(spec, operation)),
  );
}

/** Return the list of problem codes, each with an anchor: the target of a problem's `type`. */
function problemsView(problems) {
  const rows = problems.map(({ code, status, title }) =>
    el("tr", { id: code }, el("td", {}, el("code", {}, code)), el("td", {}, String(status)), el("td", {}, title)),
  );
  const head = el("thead", {}, el("tr", {}, ["Code", "Status", "Meaning"].map((name) => el("th", { scope: "col" }, name))));
  return el("section", { class: "problems", "aria-label": "Problem codes" }, el("h2", {}, "Problem codes"), el("div", { class: "scroll" }, el("table", {}, head, el("tbody", {}, rows))));
}

function indexView(group) {
  const links = group.operations.map(({ id, method, path, summary }) =>
    el("li", { "data-operation": id }, el("a", { href: `#${id}`, title: `${method.toUpperCase()} ${path}` }, badge(method), el("span", {}, summary ?? path))),
  );
  return el("li", { class: "index-group" }, el("p", {}, group.name), el("ul", {}, links));
}

function operationView(spec, operation) {
  const { id, method, path, summary, description, deprecated } = operation;
  return el(
    "article",
    { id, class: "operation", "aria-labelledby": `${id}--path`, "data-operation": id },
    el("h3", { id: `${id}--path` }, badge(method), el("a", { class: "path", href: `#${id}` }, breakable(path))),
    el("p", { class: "summary" }, inline(summary), deprecated && el("span", { class: "deprecated" }, "deprecated")),
    prose(description),
    authView(spec, operation),
    parametersPart(spec, operation),
    bodyPart(spec, operation),
    responsesPart(spec, operation),
    curlPart(spec, operation),
  );
}

function authView(spec, operation) {
  const ways = spec.waysIn(operation);
  const words = ways.length === 0 ? "Open to everyone." : `${spec.needsToken(operation) ? "Needs" : "May use"} ${ways.join(", or ")}.`;
  return el("p", { class: spec.needsToken(operation) ? "auth locked" : "auth" }, words);
}

function parametersPart(spec, { parameters }) {
  return parameters.length > 0 && part("Parameters", parameterView(spec, parameters));
}

function bodyPart(spec, { requestBody }) {
  const body = spec.resolve(requestBody);
  const content = mainContent(spec, body);
  if (!content) return null;
  return part("Body", el("p", { class: "media" }, content.type, body.required === false && ", optional"), prose(body.description), schemaView(spec, content.schema, "Body"));
}

function responsesPart(spec, { responses = {} }) {
  const list = Object.entries(responses).map(([status, response]) => responseView(spec, status, spec.resolve(response)));
  return list.length > 0 && part("Responses", el("div", { class: "responses" }, list));
}

function responseView(spec, status, response) {
  const content = mainContent(spec, response);
  // Codes that the description explains are not listed again.
  const codes = problemCodes(spec, response).filter((code) => !response.description?.includes(`\`${code}\``));
  const line = [
    el("span", { class: `status status-${status[0]}` }, status),
    el("span", { class: "meaning" }, inline(response.description)),
    codes.length > 0 && el("span", { class: "codes" }, codes.flatMap((code) => [el("code", {}, code), " "])),
  ];
  if (!content?.schema) return el("div", { class: "response" }, line);
  const details = el("details", { class: "response" }, el("summary", {}, line));
  details.addEventListener("toggle", () => {
    // Drawn when first opened: most are never opened.
    if (details.childElementCount === 1) details.append(el("p", { class: "media" }, content.type), schemaView(spec, content.schema, `Response ${status}`));
  });
  return details;
}

function curlPart(spec, operation) {
  const command = curl(spec, operation, location.origin);
  const code = el("pre", { tabindex: "0", role: "group", "aria-label": `curl example of ${operation.id}` }, el("code", {}, command));
  return part("Try it", el("div", { class: "command" }, code, copyButton(command)));
}

function copyButton(text) {
  if (!navigator.clipboard) return null; // Only on https and on localhost.
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text).then(() => (button.textContent = "Copied"), () => (button.textContent = "Not allowed"));
    setTimeout(() => (button.textContent = "Copy"), 1_500);
  });
  return button;
}

function part(title, ...content) {
  return el("div", { class: "part" }, el("h4", {}, title), content);
}

const badge = (method) => el("span", { class: `method method-${method}` }, method.toUpperCase());

/** Let a long path wrap before each slash. */
const breakable = (path) => path.split(/(?=\/)/).flatMap((step, i) => (i ? [el("wbr"), step] : [step]));

function searchable({ id, method, path, tag, summary = "", description = "" }) {
  const find = (root) => $(root).querySelector(`[data-operation="${CSS.escape(id)}"]`);
  return { text: [id, method, path, tag, summary, description].join(" ").toLowerCase(), article: find("groups"), entry: find("index") };
}

/** Show the operations that contain every word; hide a group without a match. */
function filter() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { text, article, entry } of drawn) {
    const wanted = words.every((word) => text.includes(word));
    article.hidden = entry.hidden = !wanted;
    count += wanted;
  }
  for (const group of document.querySelectorAll(".group, .index-group")) group.hidden = !group.querySelector("[data-operation]:not([hidden])");
  $("count").textContent = words.length ? `${count} of ${drawn.length} operations` : `${drawn.length} operations`;
  $("nothing").hidden = count > 0;
}

function focusFilter(event) {
  if (event.key !== "/" || event.target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  $("filter").focus();
}

$("filter").addEventListener("input", filter);
addEventListener("keydown", focusFilter);
start();
