// Call the operators' API as the signed-in user; integers are exact both ways.

import { parseExact } from "./laurels.js";
import { askToSignIn } from "./signin.js";
import { token } from "./session.js";

const PATIENCE_MS = 15_000;

/** Return the answer as a value, null for none. Throws { code, detail, path?, status }: the API's problem or one of ours. */
export async function call(method, path, body, { signal } = {}) {
  const bearer = (await token().catch(lost)) ?? (await signInAgain());
  const headers = { Accept: "application/json", Authorization: `Bearer ${bearer}`, ...(body && { "Content-Type": "application/json" }) };
  const limit = AbortSignal.timeout(PATIENCE_MS);
  const reply = await fetch(path, { method, headers, body: body && exact(body), signal: signal ?? limit }).catch((error) => lost(error, signal));
  if (reply.status === 204) return null;
  const answer = parseExact(await reply.text());
  if (!reply.ok) throw { ...answer, status: reply.status };
  return answer;
}

/** Return "?a=1&b=2" of the values that are not empty. */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Encode JSON in which a BigInt is a number. */
function exact(body) {
  const text = JSON.stringify(body, (_, value) => (typeof value === "bigint" ? `\u0001${value}\u0001` : value));
  return text.replace(/"\\u0001(-?\d+)\\u0001"/g, "$1");
}

async function signInAgain() {
  if (!(await askToSignIn("Sign in again"))) throw { code: "signed_out", detail: "You are signed out." };
  return token();
}

function lost(error, signal) {
  if (signal?.aborted) throw error;
  throw { code: "unreachable", detail: "The server cannot be reached. Nothing is known to have been changed." };
}
