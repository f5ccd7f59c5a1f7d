// Tells screen readers what moved: one short sentence at a time, never more often than every few seconds.

import { ordinal } from "./format.js";

const PAUSE_MS = 5_000;

export class Announcer {
  #region;
  #told = null; // username → rank, as of the last sentence
  #now = null;
  #timer = 0;

  constructor(region) {
    this.#region = region;
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
    if (this.#now !== this.#told) this.#timer ||= setTimeout(() => this.#speak(), this.#region.textContent ? PAUSE_MS : 400);
  }

  #speak() {
    this.#timer = 0;
    const news = headline(this.#told, this.#now);
    this.#told = this.#now;
    if (news) this.#region.textContent = news;
  }
}

/** The best place that somebody has risen to since; null when nobody has. */
export function headline(before, after) {
  const risen = [...after].filter(([name, rank]) => rank !== null && rank < (before.get(name) ?? Infinity));
  if (risen.length === 0) return null;
  const [name, rank] = risen.reduce((best, one) => (one[1] < best[1] ? one : best));
  return `${name} moved to ${ordinal(rank)} place`;
}
