// Writes the curl command that calls an operation, ready to be pasted into a shell.

import { mainContent } from "./openapi.js";

/** The headers of a WebSocket handshake; the key may be any 16 bytes. Frames arrive as text behind a few header bytes. */
const UPGRADE = [
  "-sN --output -",
  "-H 'Connection: Upgrade' -H 'Upgrade: websocket'",
  "-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: bGF1cmVscyBmb3IgYWxsIQ=='",
];

/** Return the command, one option per line. `origin`: where this page came from. */
export function curl(spec, operation, origin) {
  const lines = [`curl ${methodFlag(operation.method)}${quote(address(spec, operation, origin))}`];
  if (operation.responses?.["101"]) lines.push(...UPGRADE);
  if (spec.needsToken(operation)) lines.push('-H "Authorization: Bearer $TOKEN"');
  for (const parameter of operation.parameters) {
    if (parameter.in === "header" && parameter.required) lines.push(`-H ${quote(`${parameter.name}: ${sample(spec, parameter)}`)}`);
  }
  const body = mainContent(spec, spec.resolve(operation.requestBody));
  if (body) lines.push(`-H 'Content-Type: ${body.type}'`, `-d ${quote(payload(spec, body))}`);
  return lines.join(" \\\n  ");
}

function address(spec, operation, origin) {
  const path = operation.path.replace(/\{(\w+)\}/g, (whole, name) => {
    const parameter = operation.parameters.find((one) => one.in === "path" && one.name === name);
    return parameter ? encodeURIComponent(sample(spec, parameter)) : whole;
  });
  const query = operation.parameters
    .filter((one) => one.in === "query" && one.required)
    .map((one) => `${encodeURIComponent(one.name)}=${encodeURIComponent(sample(spec, one))}`);
  return origin + path + (query.length ? `?${query.join("&")}` : "");
}

/** Return the document's example, or the name in capitals as a placeholder. */
function sample(spec, parameter) {
  const schema = spec.resolve(parameter.schema);
  const named = Object.values(parameter.examples ?? {})[0];
  const given = [parameter.example, named && spec.resolve(named).value, schema.example, schema.examples?.[0], schema.const, schema.default, schema.enum?.[0]];
  return given.find((value) => value !== undefined && value !== null) ?? parameter.name.toUpperCase();
}

function payload(spec, { schema, example }) {
  const value = example ?? spec.example(schema);
  const short = JSON.stringify(value);
  return short.length <= 60 ? short : JSON.stringify(value, null, 2);
}

const methodFlag = (method) => (method === "get" ? "" : `-X ${method.toUpperCase()} `);

/** Quote for a shell, which interprets nothing inside single quotes but the closing quote. */
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
