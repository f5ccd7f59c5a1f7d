// Reads JSON without rounding: a score may be any 64-bit integer, and a JavaScript number stops being exact at 2^53.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG_INTEGER = /^-?\d{16,}$/;

/** JSON.parse, but integers of 16 digits and more arrive as strings of their exact digits. */
export function parseExact(text) {
  return JSON.parse(text.replace(TOKEN, (token) => (LONG_INTEGER.test(token) ? `"${token}"` : token)));
}
