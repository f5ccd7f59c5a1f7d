// Announces changes to screen readers: one short sentence at a time, at most every few seconds.

const PAUSE_MS = 5_000;
const FIRST_MS = 400;

export class Announcer {
  #region;
  #words;
  #told = null; // username → rank, as of the last sentence
  #now = null;
  #timer = 0;

  constructor(region, words) {
    this.#region = region;
    this.#words = words;
  }

  /** Start another board: its first rows are not announced. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#told = this.#now = null;
    this.#region.textContent = "";
  }

  /** Record the rows now shown; the announcement follows when it is due. */
  saw(rows) {
    this.#now = new Map(rows.map(({ username, rank }) => [username, rank]));
    this.#told ??= this.#now;
    if (this.#now !== this.#told) this.#timer ||= setTimeout(() => this.#speak(), this.#region.textContent ? PAUSE_MS : FIRST_MS);
  }

  #speak() {
    this.#timer = 0;
    const best = bestRise(this.#told, this.#now);
    this.#told = this.#now;
    if (best) this.#region.textContent = this.#words.say("risen", { name: best[0], n: best[1] });
  }
}

/** Return [username, rank] of the best place that a user has risen to since then; null if there is none. */
export function bestRise(before, after) {
  const risen = [...after].filter(([name, rank]) => rank !== null && rank < (before.get(name) ?? Infinity));
  return risen.length ? risen.reduce((best, one) => (one[1] < best[1] ? one : best)) : null;
}
