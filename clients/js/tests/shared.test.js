// The boards of a page share their connection, and a late one receives its state.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { lease } from "../laurels-shared.js";

const URL = "https://x.example";
const FULL = 15;

class FakeSocket {
  static made = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
    queueMicrotask(() => this.#open());
  }

  #open() {
    this.readyState = 1;
    this.onopen?.();
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  say(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }

  close() {
    this.readyState = 3;
  }
}

let leases = [];
let before;

function take(onState = () => {}, token = undefined) {
  const taken = lease(URL, token, onState);
  leases.push(taken);
  return taken;
}

function follow(slug, size = 10, token = undefined) {
  const boards = [];
  const taken = take(() => {}, token);
  taken.client.board(slug, { size }, (event) => event.type === "board" && boards.push(event.board.rows.length));
  return { ...taken, boards };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 1));

beforeEach(() => {
  before = globalThis.WebSocket;
  globalThis.WebSocket = FakeSocket;
  [FakeSocket.made, leases] = [[], []];
});

afterEach(() => {
  for (const one of leases) one.release();
  globalThis.WebSocket = before;
});

test("boards of one server share a socket; another token has its own", async () => {
  for (const slug of ["points", "weekly", "points"]) follow(slug);
  follow("points", 10, "secret");
  await settled();
  assert.equal(FakeSocket.made.length, 2);
  const asked = FakeSocket.made.map(({ sent }) => sent.map(({ type, channel }) => channel ?? type).sort());
  assert.deepEqual(asked, [
    ["board:points", "board:weekly"],
    ["authenticate", "board:points"],
  ]);
});

test("each sees its own number of rows of what is sent once", async () => {
  const [small, large] = [follow("points", 1), follow("points", 3)];
  await settled();
  const rows = ["ada", "bert", "cleo"].map((username, i) => ({ rank: i + 1, username, score: 9 - i, movement: 0 }));
  FakeSocket.made[0].say({ type: "board", channel: "board:points", size: 3, version: "v", rows });
  assert.deepEqual([small.boards, large.boards], [[1], [3]]);
});

test("a late subscriber gets the current state and board", async () => {
  follow("points");
  await settled();
  FakeSocket.made[0].say({ type: "subscribed", channel: "board:points", resumed: "snapshot" });
  FakeSocket.made[0].say({ type: "board", channel: "board:points", size: 10, version: "v", rows: [] });
  const states = [];
  take((state) => states.push(state));
  assert.deepEqual(states, ["live"]);
  const late = follow("points");
  await settled();
  assert.deepEqual(late.boards, [0]);
});

test("a full socket is left alone, and what it lets go of is used again", async () => {
  const first = Array.from({ length: FULL }, (_, i) => follow(`board-${i}`));
  follow("one-more");
  await settled();
  assert.equal(FakeSocket.made.length, 2);
  first[0].release();
  assert.equal(follow("again").client, first[1].client);
});

test("the last one closes the door; a release counts once", async () => {
  const [one, other] = [follow("points"), follow("points")];
  await settled();
  one.release();
  one.release();
  assert.equal(FakeSocket.made[0].readyState, 1);
  other.release();
  assert.equal(FakeSocket.made[0].readyState, 3);
  assert.equal(other.client.state, "closed");
  assert.notEqual(follow("points").client, other.client);
});

test("what is asked for while the token is on its way is asked for once, after the token", async () => {
  let arrive;
  const token = () => new Promise((resolve) => (arrive = resolve));
  const { client } = follow("points", 10, token);
  await settled();
  client.board("weekly", {}, () => {});
  client.me(() => {});
  client.activity("points", () => {})();
  assert.deepEqual(FakeSocket.made[0].sent, []);
  arrive("secret");
  await settled();
  const said = FakeSocket.made[0].sent.map(({ type, channel }) => channel ?? type);
  assert.deepEqual(said, ["authenticate", "board:points", "board:weekly", "me"]);
});
