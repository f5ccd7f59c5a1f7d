// Formats values by the conventions of the reader's locale.

import { Words } from "./laurels-words.js";

export const words = new Words(document.documentElement.lang);

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const SPAN = { weekday: "short", day: "numeric", month: "short" };
const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export function date(iso) {
  return day.format(new Date(iso));
}

export function dateAndTime(iso) {
  return moment.format(new Date(iso));
}

/**
 * "Mon, 17 Nov – Sun, 23 Nov, UTC", or "Mon, 17 Nov, 04:00 – Mon, 24 Nov, 04:00, UTC" for windows that do not begin and
 * end at midnight. Empty for a window without bounds.
 */
export function windowSpan({ starts_at: starts, ends_at: ends } = {}, timeZone = "UTC") {
  if (!starts || !ends) return "";
  const [first, end] = [new Date(starts), new Date(ends)];
  const clock = inZone(timeZone, TIME);
  const wholeDays = [first, end].every((at) => clock.format(at) === "00:00");
  // The end given by the server is exclusive: the last day shown is the one before it.
  const text = wholeDays
    ? inZone(timeZone, SPAN).formatRange(first, new Date(end.getTime() - 1))
    : inZone(timeZone, { ...SPAN, ...TIME }).formatRange(first, end);
  return `${text}, ${timeZone}`;
}

function inZone(timeZone, parts) {
  try {
    return new Intl.DateTimeFormat(undefined, { ...parts, timeZone });
  } catch {
    return new Intl.DateTimeFormat(undefined, { ...parts, timeZone: "UTC" }); // A zone this browser does not know.
  }
}
