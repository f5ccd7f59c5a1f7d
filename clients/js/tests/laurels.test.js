// The client's state machine, without a server: its boards equal what was sent, and every reconnect is bounded.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyDelta, backoff, comeBack, Laurels, LaurelsError, parseExact, Session } from "../laurels.js";

const CHANNEL = "board:points";

function board(version, scores, size = 10) {
  const rows = scores.map(([username, score], i) => ({ rank: i + 1, username, score: BigInt(score), movement: 0 }));
  return { type: "board", channel: CHANNEL, size, version, board: "points", name: "All time", epoch: "e", seq: 1, rank_state: "exact", total_users: rows.length, rows };
}

function held(frame) {
  const { type, channel, ...rest } = frame;
  return rest;
}

function delta(base, version, rows, length, more = {}) {
  return { type: "delta", channel: CHANNEL, size: 10, base, version, base_seq: 1, seq: 2, as_of: "later", rank_state: "exact", total_users: length, length, rows, ...more };
}

function following() {
  const session = new Session();
  session.subscribe(CHANNEL, 10);
  session.receive(board("v1", [["ada", 3], ["bert", 2]]));
  return session;
}

test("scores are exact to the last digit, and nothing else changes", () => {
  const read = parseExact('{"score":9223372036854775807,"seq":12,"name":"1234567890123456789","rows":[{"score":-5,"rank":null}],"id":9007199254740993}');
  assert.deepEqual(read, { score: 2n ** 63n - 1n, seq: 12, name: "1234567890123456789", rows: [{ score: -5n, rank: null }], id: "9007199254740993" });
  assert.equal(parseExact('{"score":null}').score, null);
});

test("a delta on its base makes the next board", () => {
  const session = following();
  const row = { rank: 1, username: "cleo", score: 9n, movement: null };
  const { send, news } = session.receive(delta("v1", "v2", [[0, row]], 1, { entered_top: ["cleo"] }));
  assert.deepEqual(send, []);
  const [[channel, type, detail]] = news;
  assert.deepEqual([channel, type, detail.entered], [CHANNEL, "board", ["cleo"]]);
  assert.deepEqual(detail.board.rows, [row]);
  assert.equal(detail.board.version, "v2");
  assert.equal(detail.board.name, "All time");
});

test("a missed base asks once for the whole, and nothing is shown until it comes", () => {
  const session = following();
  assert.deepEqual(session.receive(delta("v7", "v8", [], 0)), { send: [{ type: "resync", channel: CHANNEL }], news: [] });
  assert.deepEqual(session.receive(delta("v8", "v9", [], 0)), { send: [], news: [] });
  const whole = board("v9", [["ada", 4]]);
  assert.deepEqual(session.receive(whole).news, [[CHANNEL, "board", { board: held(whole), entered: [] }]]);
});

test("what is held is asked for from where it was left", () => {
  const session = following();
  assert.deepEqual(session.greet("secret"), [
    { type: "authenticate", token: "secret" },
    { type: "subscribe", channel: CHANNEL, size: 10, since: "v1" },
  ]);
  assert.deepEqual(session.greet(null).length, 1);
});

test("a base missed before the line broke does not silence the next line", () => {
  const session = following();
  session.receive(delta("v7", "v8", [], 0));
  session.greet(null);
  assert.equal(session.receive(delta("v1", "v2", [], 2)).news.length, 1);
});

test("a larger size replaces the smaller one; its late frames are not taken", () => {
  const session = following();
  assert.equal(session.subscribe(CHANNEL, 5), null);
  assert.deepEqual(session.subscribe(CHANNEL, 25), { type: "subscribe", channel: CHANNEL, size: 25 });
  assert.deepEqual(session.receive(board("v2", [["ada", 4]])).news, []);
  assert.deepEqual(session.receive(delta("v1", "v2", [], 2)), { send: [], news: [] });
  assert.equal(session.receive(board("v3", [["ada", 4]], 25)).news.length, 1);
});

test("a server may send more rows than were asked for, and is not asked again for what it sends", () => {
  const session = new Session();
  session.subscribe(CHANNEL, 7);
  const scores = ["a", "b", "c", "d", "e", "f", "g", "h"].map((name, i) => [name, 9 - i]);
  assert.equal(session.receive(board("v1", scores)).news[0][2].board.rows.length, 8);
  assert.equal(session.subscribe(CHANNEL, 9), null);
  assert.equal(session.receive(delta("v1", "v2", [], 8)).news.length, 1);
  assert.deepEqual(session.greet(null), [{ type: "subscribe", channel: CHANNEL, size: 9, since: "v2" }]);
  assert.deepEqual(session.subscribe(CHANNEL, 11), { type: "subscribe", channel: CHANNEL, size: 11 });
  assert.deepEqual(session.receive(delta("v2", "v3", [], 8)), { send: [], news: [] });
});

test("what a newer server says is ignored", () => {
  const session = following();
  assert.deepEqual(session.receive({ type: "confetti", channel: CHANNEL }), { send: [], news: [] });
  assert.deepEqual(session.receive(board("v2", [])).news.length, 1);
  assert.deepEqual(session.receive({ ...board("v3", []), channel: "board:else" }).news, []);
});

test("an unknown board is reported once and not requested again", () => {
  const session = following();
  const refused = { type: "error", channel: CHANNEL, code: "board_unknown", detail: "gone" };
  assert.deepEqual(session.receive(refused).news, [[CHANNEL, "refused", refused]]);
  assert.deepEqual(session.greet(null), []);
});

test("random changes, cuts and resumptions: what is held is what the server has", () => {
  for (let seed = 1; seed <= 200; seed++) replay(random(seed));
});

/** A server that resumes with a delta, a snapshot or nothing, and loses frames; both sides agree afterwards. */
function replay(draw) {
  const session = new Session();
  session.subscribe(CHANNEL, 10);
  let [count, truth] = [0, board("0", [])];
  const history = new Map([[truth.version, truth]]);
  let [shown, known] = [null, null];
  const take = (frame) => {
    const answer = session.receive(frame);
    for (const [, type, detail] of answer.news) if (type === "board") shown = detail.board;
    known = truth.version;
    if (answer.send.some((one) => one.type === "resync")) take(truth);
  };
  for (let step = 0; step < 60; step++) {
    const names = ["ada", "bert", "cleo", "dora", "emil"].filter(() => draw() < 0.7).sort(() => draw() - 0.5);
    truth = board(String(++count), names.map((name) => [name, Math.floor(draw() * 9)]));
    history.set(truth.version, truth);
    if (draw() < 0.2) continue; // Conflated: the next frame contains the change.
    if (draw() < 0.15) {
      const [{ since }] = session.greet(null);
      if (since !== truth.version) take(since && draw() < 0.7 ? between(history.get(since), truth) : truth);
    } else if (known !== null && draw() < 0.8) take(between(history.get(draw() < 0.9 ? known : "0"), truth));
    else take(truth);
    assert.deepEqual(shown.rows, truth.rows);
    assert.equal(shown.version, truth.version);
  }
}

function between(before, after) {
  const changed = after.rows.flatMap((row, i) => (JSON.stringify(before.rows[i], big) === JSON.stringify(row, big) ? [] : [[i, row]]));
  return delta(before.version, after.version, changed, after.rows.length);
}

function big(_, value) {
  return typeof value === "bigint" ? `${value}n` : value;
}

function random(seed) {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

test("waits are drawn below a doubling ceiling, capped", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, () => 1)), [500, 1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(backoff(9, () => 0), 0);
});

test("close codes decide by range whether to come back, and when", () => {
  const never = [1002, 1003, 1007, 1008, 1009, 4400, 4403, 4404, 4499];
  const soon = [1001, 1005, 1006, 1011, 1014, 4000, 4008, 4009, 4099, 4401];
  for (const code of never) assert.equal(comeBack(code, 0), null, String(code));
  for (const code of soon) assert.equal(comeBack(code, 3, null, () => 0.5), 2000, String(code));
  for (const code of [4110, 4129]) assert.equal(comeBack(code, 0, null, () => 1), 30_500);
  assert.equal(comeBack(4000, 0, 1830), 1830);
});

test("an action keeps its identifier until its outcome is known", async () => {
  const sent = [];
  const answers = [() => Promise.reject(new TypeError("network")), () => answer(503, { code: "overloaded" }), () => answer(201, { score_earned: 10, new_score: 30 })];
  const laurels = new Laurels("https://x.example", { token: "t", fetch: (_, { body }) => (sent.push(body), answers.shift()()) });
  const receipt = await laurels.complete("lesson");
  assert.equal(receipt.new_score, 30n);
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent).size, 1);
});

test("a refusal is final, an expired token is renewed once", async () => {
  let issued = 0;
  const answers = [() => answer(401, { code: "token_expired" }), () => answer(422, { code: "cooldown_active", detail: "wait" }, { "Retry-After": "7" })];
  const laurels = new Laurels("https://x.example", { token: () => `t${++issued}`, fetch: () => answers.shift()() });
  await assert.rejects(laurels.complete("lesson"), (error) => {
    assert.ok(error instanceof LaurelsError);
    assert.deepEqual([error.code, error.status, error.retryAfter, error.unsettled], ["cooldown_active", 422, 7, false]);
    return true;
  });
  assert.equal(issued, 2);
});

function answer(status, body, headers = {}) {
  return Promise.resolve(Response.json(body, { status, headers }));
}

test("applying a delta leaves the old board as it was", () => {
  const before = held(board("v1", [["ada", 3]]));
  const kept = structuredClone(before);
  applyDelta(before, delta("v1", "v2", [], 0));
  assert.deepEqual(before, kept);
});

test("an address without its scheme is refused at once", () => {
  for (const url of ["127.0.0.1:8000", "localhost:8000", "ftp://x.example", "https://", "/api", ""]) {
    assert.throws(() => new Laurels(url), (error) => error instanceof TypeError && /http:\/\//.test(error.message), url);
  }
  assert.equal(new Laurels("http://127.0.0.1:8000/").url, "http://127.0.0.1:8000");
});
