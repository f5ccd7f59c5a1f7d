// Formats values by the reader's conventions: scores, places, times, movements.

const ENGLISH = {
  place: "Place",
  movement: "Movement",
  name: "Name",
  score: "Score",
  caption: "{board}: the leading places, best first",
  unknownPlace: "place not known yet",
  newHere: "new",
  newHeard: "new on the board",
  noChange: "no change",
  up: { one: "up {n} place", other: "up {n} places" },
  down: { one: "down {n} place", other: "down {n} places" },
  people: { one: "{n} person", other: "{n} people" },
  risen: "{name} moved to place {n}",
  updated: "updated {time}",
  rebuilding: "places are being recounted",
  me: "you",
  between: "places between",
  live: "Live",
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  polling: "Every few seconds",
  offline: "Offline",
  over: "Final",
  empty: "No scores yet.",
  emptyMore: "The first action completed appears here.",
  unreachable: "The scoreboard cannot be reached.",
  unreachableMore: "No points are lost. Retrying automatically.",
  retry: "Try now",
  unknown: "There is no board called {board}.",
  unknownMore: "It may have been renamed or taken down.",
};

export class Words {
  #phrases;
  #numbers;
  #clock;
  #plurals;

  /** `locale` as in `lang` (the browser's by default); `phrases` replaces any of those above. */
  constructor(locale, phrases = {}) {
    const known = supported(locale);
    this.#phrases = { ...ENGLISH, ...phrases };
    this.#numbers = new Intl.NumberFormat(known);
    this.#clock = new Intl.DateTimeFormat(known, { timeStyle: "medium" });
    this.#plurals = new Intl.PluralRules(known);
  }

  /** Format a score or a count, exact at any size (BigInt or number). */
  number(value) {
    return this.#numbers.format(value);
  }

  /** Format it in pieces that may wrap after a group of digits: ["1,", "234,", "567"]. */
  numberGroups(value) {
    const groups = [""];
    for (const { type, value: text } of this.#numbers.formatToParts(value)) {
      groups[groups.length - 1] += text;
      if (type === "group") groups.push("");
    }
    return groups;
  }

  time(iso) {
    return this.#clock.format(new Date(iso));
  }

  /** Fill a phrase; one that counts takes the plural form of `n`. */
  say(name, blanks = {}) {
    const phrase = this.#phrases[name];
    const chosen = typeof phrase === "string" ? phrase : (phrase[this.#plurals.select(Number(blanks.n))] ?? phrase.other);
    return chosen.replace(/\{(\w+)\}/g, (_, blank) => (blank === "n" ? this.number(blanks.n) : blanks[blank]));
  }

  /** Return a movement as shown and as read aloud. */
  movement(places) {
    if (places === null || places === undefined) return { kind: "new", seen: this.say("newHere"), heard: this.say("newHeard") };
    if (places === 0) return { kind: "same", seen: "–", heard: this.say("noChange") };
    const [kind, arrow] = places > 0 ? ["up", "▲"] : ["down", "▼"];
    const n = Math.abs(places);
    return { kind, seen: `${arrow}${this.number(n)}`, heard: this.say(kind, { n }) };
  }
}

/** Return the page's language with the reader's region: "en" for a reader in London gives "en-GB". */
function supported(locale) {
  try {
    const [known] = Intl.getCanonicalLocales(locale || undefined);
    return known && (globalThis.navigator?.languages?.find((one) => one.startsWith(`${known}-`)) ?? known);
  } catch {
    return undefined; // No language tag: the browser's own.
  }
}
