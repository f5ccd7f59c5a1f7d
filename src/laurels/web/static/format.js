// Turns values into words for the reader: scores, places, times and windows, by the reader's own conventions.

const numbers = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
const SUFFIX = { one: "st", two: "nd", few: "rd", other: "th" };

/** A score or a count, exact at any size (BigInt or number). */
export function number(value) {
  return numbers.format(value);
}

/** The same, in pieces that may wrap after a group of digits: ["1,", "234,", "567"]. */
export function numberGroups(value) {
  const groups = [""];
  for (const { type, value: text } of numbers.formatToParts(value)) {
    groups[groups.length - 1] += text;
    if (type === "group") groups.push("");
  }
  return groups;
}

export function people(count) {
  return `${number(count)} ${count === 1 ? "person" : "people"}`;
}

/** 1 → "1st", 12 → "12th". */
export function ordinal(rank) {
  return `${rank}${SUFFIX[ordinals.select(rank)]}`;
}

export function time(iso) {
  return clock.format(new Date(iso));
}

/** Movement as what the eye sees and what the ear hears. */
export function movement(places) {
  if (places === null || places === undefined) return { kind: "new", seen: "new", heard: "new on the board" };
  if (places === 0) return { kind: "same", seen: "–", heard: "no change" };
  const many = Math.abs(places) === 1 ? "place" : "places";
  if (places > 0) return { kind: "up", seen: `▲${places}`, heard: `up ${places} ${many}` };
  return { kind: "down", seen: `▼${-places}`, heard: `down ${-places} ${many}` };
}

/** "Mon, 17 Nov – Sun, 23 Nov, UTC"; the end given by the server is exclusive. Empty for a window without bounds. */
export function windowSpan({ starts_at: starts, ends_at: ends } = {}, timeZone = "UTC") {
  if (!starts || !ends) return "";
  const lastInstant = new Date(new Date(ends).getTime() - 1);
  return `${dayFormat(timeZone).formatRange(new Date(starts), lastInstant)}, ${timeZone}`;
}

function dayFormat(timeZone) {
  const fields = { weekday: "short", day: "numeric", month: "short" };
  try {
    return new Intl.DateTimeFormat(undefined, { ...fields, timeZone });
  } catch {
    return new Intl.DateTimeFormat(undefined, { ...fields, timeZone: "UTC" }); // A zone this browser does not know.
  }
}
