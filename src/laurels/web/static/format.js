// Formats values by the conventions of the reader's locale.

import { Words } from "./laurels-words.js";

export const words = new Words(document.documentElement.lang);

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const SPAN = { weekday: "short", day: "numeric", month: "short" };

export function date(iso) {
  return day.format(new Date(iso));
}

export function dateAndTime(iso) {
  return moment.format(new Date(iso));
}

/** Return "Mon, 17 Nov – Sun, 23 Nov, UTC"; the server's end is exclusive. Empty for a window without bounds. */
export function windowSpan({ starts_at: starts, ends_at: ends } = {}, timeZone = "UTC") {
  if (!starts || !ends) return "";
  const lastInstant = new Date(new Date(ends).getTime() - 1);
  return `${inZone(timeZone).formatRange(new Date(starts), lastInstant)}, ${timeZone}`;
}

function inZone(timeZone) {
  try {
    return new Intl.DateTimeFormat(undefined, { ...SPAN, timeZone });
  } catch {
    return new Intl.DateTimeFormat(undefined, { ...SPAN, timeZone: "UTC" }); // This browser does not know the zone.
  }
}
