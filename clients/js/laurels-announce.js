// Tells screen readers what moved: one short sentence at a time, never more often than every few seconds.

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

  /** Another board: what comes first is the starting point, not news. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#told = this.#now = null;
    this.#region.textContent = "";
  }

  /** Take note of the rows now shown; the sentence follows when it is time. */
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

/** [username, rank] of the best place that somebody has risen to since; null when nobody has. */
export function bestRise(before, after) {
  const risen = [...after].filter(([name, rank]) => rank !== null && rank < (before.get(name) ?? Infinity));
  return risen.length ? risen.reduce((best, one) => (one[1] < best[1] ? one : best)) : null;
}
