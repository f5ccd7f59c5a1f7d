// Shows all boards as links, one of them marked as current.

import { el } from "./laurels-dom.js";

/** Draw the links once, then only move the mark, so that the focused link keeps the focus. */
export function showTabs(list, boards, current) {
  const drawn = [...list.querySelectorAll("a")].map((link) => link.dataset.board);
  if (drawn.join() !== boards.map((board) => board.slug).join()) list.replaceChildren(...boards.map(tab));
  for (const link of list.querySelectorAll("a")) mark(link, link.dataset.board === current);
}

function tab({ slug, name }) {
  return el("li", {}, el("a", { href: `#${encodeURIComponent(slug)}`, "data-board": slug }, el("bdi", {}, name)));
}

function mark(link, isCurrent) {
  if (!isCurrent) {
    link.removeAttribute("aria-current");
    return;
  }
  link.setAttribute("aria-current", "page");
  const strip = link.closest("nav");
  const { left, right } = link.getBoundingClientRect();
  const bounds = strip.getBoundingClientRect();
  if (left < bounds.left || right > bounds.right) strip.scrollLeft += left - bounds.left - 16;
}
