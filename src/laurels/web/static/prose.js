// Shows a description: paragraphs, lists, `code` and **strong** of Markdown, everything else unchanged.

import { el } from "./laurels-dom.js";

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*)/;
const BULLET = /^\s*[-*]\s+/;

/** Return the blocks of a text as elements. */
export function prose(text = "") {
  return text.trim().split(/\n\s*\n/).filter(Boolean).map(block);
}

/** Return one line of text as elements, its Markdown rendered. */
export function inline(text = "") {
  return text.split(INLINE).filter(Boolean).map((piece) => {
    if (piece.startsWith("`") && piece.length > 2) return el("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**") && piece.length > 4) return el("strong", {}, piece.slice(2, -2));
    return piece;
  });
}

function block(text) {
  const lines = text.split("\n");
  if (!lines.every((line) => BULLET.test(line))) return el("p", {}, inline(lines.map((line) => line.trim()).join(" ")));
  return el("ul", {}, lines.map((line) => el("li", {}, inline(line.replace(BULLET, "")))));
}
