// Draws a schema as a table: field, type, whether it is required, limits; nested fields indented.

import { el, spoken } from "./laurels-dom.js";
import { limits, typeWords } from "./openapi.js";
import { inline } from "./prose.js";

const DEEPEST = 6;

/** Return the table of a schema's fields; for a schema without fields, a line with its type and limits. */
export function schemaView(spec, schema, title) {
  const rows = fieldRows(spec, schema, 0, []);
  if (rows.length === 0) return el("p", { class: "plain-type" }, el("code", {}, typeWords(spec, schema)), " ", limitWords(spec, schema));
  return fieldTable(title, rows);
}

/** Return the table of an operation's parameters, drawn like the fields of a body. */
export function parameterView(spec, parameters) {
  const rows = parameters.map((one) => fieldRow(spec, one.name, one.schema ?? {}, { required: one.required, place: one.in, about: one.description }));
  return fieldTable("Parameters", rows);
}

function fieldTable(title, rows) {
  const head = ["Field", "Type", "About"].map((word) => el("th", { scope: "col" }, word));
  return el(
    "div",
    { class: "wide", role: "group", "aria-label": title, tabindex: "0" },
    el("table", { class: "fields" }, el("caption", { class: "spoken" }, title), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)),
  );
}

function fieldRows(spec, schema, depth, parents) {
  const own = spec.resolve(schema);
  if (depth > DEEPEST || (own.name && parents.includes(own.name))) return []; // A schema that contains itself.
  const lineage = own.name ? [...parents, own.name] : parents;
  const below = (part) => fieldRows(spec, part, depth, lineage);
  const named = Object.entries(own.properties ?? {}).flatMap(([name, field]) => [
    fieldRow(spec, name, field, { required: own.required?.includes(name), depth }),
    ...fieldRows(spec, field, depth + 1, lineage),
  ]);
  const shapes = (own.oneOf ?? own.anyOf ?? []).filter((shape) => spec.resolve(shape).type !== "null");
  return [
    ...(own.allOf ?? []).flatMap(below),
    ...named,
    ...(shapes.length === 1 ? below(shapes[0]) : shapes.flatMap((shape, i) => shapeRows(spec, shape, i ? "or " : "either ", depth, lineage))),
    ...(own.items ? below(own.items) : []),
    ...(typeof own.additionalProperties === "object" ? anyKeyRows(spec, own.additionalProperties, depth, lineage) : []),
  ];
}

function shapeRows(spec, shape, word, depth, lineage) {
  const fields = fieldRows(spec, shape, depth, lineage);
  if (fields.length === 0) return [];
  return [el("tr", { class: "shape" }, el("th", { colspan: "3", scope: "rowgroup", class: `depth-${depth}` }, word, typeWords(spec, shape))), ...fields];
}

function anyKeyRows(spec, schema, depth, lineage) {
  if (Object.keys(schema).length === 0) return [];
  return [fieldRow(spec, "any key", schema, { depth }), ...fieldRows(spec, schema, depth + 1, lineage)];
}

function fieldRow(spec, name, schema, { required = false, place = null, about = null, depth = 0 }) {
  const description = about ?? spec.resolve(schema).description;
  return el(
    "tr",
    {},
    el("th", { scope: "row", class: `depth-${depth}` }, el("code", {}, name), required && mark(), place && el("span", { class: "place" }, place)),
    el("td", { class: "type" }, typeWords(spec, schema)),
    el("td", {}, description && el("span", { class: "about" }, inline(description)), limitWords(spec, schema)),
  );
}

function mark() {
  return el("span", { class: "required", title: "required" }, el("span", { "aria-hidden": "true" }, "*"), spoken(" required"));
}

function limitWords(spec, schema) {
  const { words, pattern, choices, usual } = limits(spec, schema);
  return [
    words.length > 0 && el("span", { class: "limit" }, words.join(", ")),
    pattern && el("span", { class: "limit" }, "matches ", el("code", {}, pattern)),
    choices && el("span", { class: "limit" }, "one of ", choices.flatMap((choice, i) => [i ? ", " : "", el("code", {}, String(choice))])),
    usual !== undefined && el("span", { class: "limit" }, "default ", el("code", {}, JSON.stringify(usual))),
  ];
}
