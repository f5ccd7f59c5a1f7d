// Reads an OpenAPI 3.1 document: follows references, lists operations, names types, makes examples. It draws nothing.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];

export class Spec {
  constructor(document) {
    this.document = document;
  }

  /** Return the target of a `$ref`, merged with the members beside it; anything else unchanged. */
  resolve(node) {
    for (let hops = 0; node?.$ref && hops < 16; hops++) {
      const { $ref, ...beside } = node;
      node = { name: nameOf($ref), ...this.#at($ref), ...beside };
    }
    return node ?? {};
  }

  /** List every operation in the order of the document: { id, method, path, tag, parameters, … }. */
  operations() {
    return Object.entries(this.document.paths ?? {}).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => this.#operation(path, item, method)),
    );
  }

  /** Group operations by tag, in the order of the document's tags: [{ name, description, operations }]. */
  groups() {
    const described = this.document.tags ?? [];
    const byTag = new Map(described.map((tag) => [tag.name, { ...tag, operations: [] }]));
    for (const operation of this.operations()) {
      if (!byTag.has(operation.tag)) byTag.set(operation.tag, { name: operation.tag, operations: [] });
      byTag.get(operation.tag).operations.push(operation);
    }
    return [...byTag.values()].filter((group) => group.operations.length > 0);
  }

  /** Return the ways to authenticate, in words; [] when none is needed. */
  waysIn(operation) {
    const ways = operation.security ?? this.document.security ?? [];
    return ways.map((way) => Object.entries(way).map(([name, scopes]) => this.#schemeWords(name, scopes)).join(" and ") || "no credentials");
  }

  /** Return whether a token is required, rather than only allowed. */
  needsToken(operation) {
    const ways = operation.security ?? this.document.security ?? [];
    return ways.length > 0 && ways.every((way) => Object.keys(way).length > 0);
  }

  /** Return a plausible value of a schema, from its examples where it has them. */
  example(schema, depth = 0) {
    const { example, examples, default: usual, const: fixed, enum: choices, ...rest } = this.resolve(schema);
    const given = [example, examples?.[0], fixed, usual, choices?.[0]].find((value) => value !== undefined);
    if (given !== undefined) return given;
    const branch = [...(rest.oneOf ?? []), ...(rest.anyOf ?? [])].find((one) => one.type !== "null");
    if (branch) return this.example(branch, depth);
    if (rest.allOf) return Object.assign({}, ...rest.allOf.map((part) => this.example(part, depth)));
    if (depth > 5) return {};
    const type = [rest.type].flat()[0] ?? (rest.properties ? "object" : "string");
    if (type === "object") return this.#exampleObject(rest, depth);
    if (type === "array") return [this.example(rest.items ?? {}, depth + 1)];
    if (type === "string") return exampleText(rest);
    return { integer: rest.minimum ?? 1, number: rest.minimum ?? 1, boolean: true, null: null }[type] ?? null;
  }

  #exampleObject({ properties = {}, required = [] }, depth) {
    const names = Object.keys(properties).filter((name) => required.includes(name) || depth === 0 && required.length === 0);
    return Object.fromEntries(names.map((name) => [name, this.example(properties[name], depth + 1)]));
  }

  #operation(path, item, method) {
    const own = item[method];
    const parameters = [...(item.parameters ?? []), ...(own.parameters ?? [])].map((one) => this.resolve(one));
    const id = own.operationId ?? `${method}-${path.replace(/\W+/g, "-")}`;
    return { ...own, id, method, path, parameters, tag: own.tags?.[0] ?? "Other" };
  }

  #schemeWords(name, scopes) {
    const { type, scheme, in: place, name: field } = this.resolve(this.document.components?.securitySchemes?.[name]);
    const words = type === "http" ? `${scheme} token` : type === "apiKey" ? `${field} in the ${place}` : name;
    return scopes?.length ? `${words} (${scopes.join(", ")})` : words;
  }

  #at(reference) {
    const steps = reference.replace(/^#\//, "").split("/").map(unescapeStep);
    return steps.reduce((node, step) => node?.[step], this.document) ?? {};
  }
}

/** Return a schema's type in a few words: "string or null", "list of Receipt", "one of 3 shapes". */
export function typeWords(spec, schema) {
  const own = spec.resolve(schema);
  const branches = own.oneOf ?? own.anyOf;
  if (branches) return unique(branches.map((branch) => typeWords(spec, branch))).join(" or ");
  if (own.allOf?.length === 1) return typeWords(spec, own.allOf[0]);
  if (own.const !== undefined) return JSON.stringify(own.const);
  const types = [own.type ?? (own.properties || own.allOf ? "object" : "any")].flat();
  return types.map((type) => oneType(spec, own, type)).join(" or ");
}

function oneType(spec, own, type) {
  if (type === "array") return own.items ? `list of ${typeWords(spec, own.items)}` : "list";
  if (type === "object") return own.name ?? own.title ?? "object";
  return own.format && type !== "null" ? `${type} (${own.format})` : type;
}

const COUNTS = [
  ["minLength", "maxLength", "character"],
  ["minItems", "maxItems", "item"],
  ["minProperties", "maxProperties", "key"],
];

const BOUNDS = [
  ["minimum", "≥"],
  ["exclusiveMinimum", ">"],
  ["maximum", "≤"],
  ["exclusiveMaximum", "<"],
  ["multipleOf", "a multiple of"],
];

/** Return "1 to 128 characters" or "at most 64 keys"; null without limits. */
function countWords(least, most, thing) {
  if (least === undefined && most === undefined) return null;
  const things = (most ?? least) === 1 ? thing : `${thing}s`;
  if (most === undefined) return `at least ${least} ${things}`;
  if (!least) return `at most ${most} ${things}`;
  return least === most ? `exactly ${most} ${things}` : `${least} to ${most} ${things}`;
}

/** Follows "$" for engines whose "$" also matches before a final line feed; it is not shown to readers. */
const NO_LINE_FEED = /\$\(\?!\\n\)$/;

/** Return the limits of a value in words: { words: ["1 to 128 characters"], pattern, choices, usual }. */
export function limits(spec, schema) {
  const own = spec.resolve(schema);
  const branch = (own.oneOf ?? own.anyOf)?.filter((one) => one.type !== "null");
  const source = branch?.length === 1 ? { ...spec.resolve(branch[0]), ...own } : own;
  const words = [
    ...COUNTS.map(([least, most, thing]) => countWords(source[least], source[most], thing)),
    ...BOUNDS.map(([key, sign]) => source[key] !== undefined && `${sign} ${source[key]}`),
    source.uniqueItems && "no item twice",
  ].filter(Boolean);
  if (source.type === "array" && source.items) words.push(...limits(spec, source.items).words.map((word) => `each ${word}`));
  const pattern = source.pattern?.replace(NO_LINE_FEED, "$");
  return { words, pattern, choices: source.enum ?? spec.resolve(source.items ?? {}).enum, usual: source.default };
}

/** Return the problem codes of a response, from `x-problem-codes`, the schema's `code`, or the names of its examples. */
export function problemCodes(spec, response) {
  const codes = [...(response["x-problem-codes"] ?? [])];
  for (const [type, media] of Object.entries(response.content ?? {})) {
    if (!type.includes("problem")) continue;
    const code = spec.resolve(spec.resolve(media.schema).properties?.code);
    codes.push(...(code.enum ?? (code.const ? [code.const] : [])));
    for (const [name, given] of Object.entries(media.examples ?? {})) codes.push(spec.resolve(given).value?.code ?? name);
  }
  return unique(codes);
}

/** Return { type, schema, example } of the first media type of a body, or null. */
export function mainContent(spec, node) {
  const first = Object.entries(node.content ?? {})[0];
  if (!first) return null;
  const [type, media] = first;
  const named = Object.values(media.examples ?? {})[0];
  return { type, schema: media.schema, example: media.example ?? (named && spec.resolve(named).value) };
}

function exampleText({ format, minLength = 0, name }) {
  const known = { "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", uuid: "0f8fad5b-d9cb-469f-a165-70867728950e", uri: "https://example.org", email: "ada@example.org" };
  return known[format] ?? (name ?? "text").toLowerCase().padEnd(minLength, "…");
}

const nameOf = (reference) => unescapeStep(reference.split("/").at(-1));
const unescapeStep = (step) => decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
const unique = (list) => [...new Set(list)];
