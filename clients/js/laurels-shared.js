// The boards of a page share their connection: one socket for each server and token, until it is full.

import { Laurels } from "./laurels.js";

const BOARDS = 15; // A socket follows 16 channels: these boards, and `me`.

const open = []; // { url, token, client, hearers: Set of functions }

/**
 * Return a client for one board: { client, release }. `onState(state)` receives each state of the connection, and its
 * current one at once if there is one. The last release closes it. Equal tokens share: the same text or function.
 */
export function lease(url, token, onState) {
  const shared = open.find((one) => one.url === url && one.token === token && one.hearers.size < BOARDS) ?? start(url, token);
  const { client, hearers } = shared;
  const hear = (state) => onState(state); // Two leases stay separate, also with the same function.
  hearers.add(hear);
  if (client.state !== "idle") onState(client.state);
  return { client, release: () => hearers.delete(hear) && hearers.size === 0 && end(shared) };
}

function start(url, token) {
  const hearers = new Set();
  const tell = (state) => [...hearers].forEach((hear) => hear(state));
  const shared = { url, token, hearers, client: new Laurels(url, { token, onState: tell }) };
  open.push(shared);
  return shared;
}

function end(shared) {
  open.splice(open.indexOf(shared), 1);
  shared.client.close();
}
