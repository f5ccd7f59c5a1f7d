// Draws the rows of a board into a table body and lets each row glide to its new place.

import { el, spoken, wreath } from "./dom.js";
import { movement, number, numberGroups } from "./format.js";

const GLIDE = { duration: 520, easing: "cubic-bezier(.2, .75, .25, 1)" };
const GLOW = { duration: 1600, easing: "ease-out" };
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

export class Rows {
  #body;
  #drawn = new Map(); // username → { tr, rank, move, name, score, value }

  constructor(body) {
    this.#body = body;
  }

  clear() {
    this.#drawn.clear();
    this.#body.replaceChildren();
  }

  /** Show these rows in this order: [{ rank, username, score, movement }], the score as BigInt. */
  show(rows) {
    const before = this.#places();
    const first = this.#drawn.size === 0;
    const next = new Map(rows.map((row) => [row.username, this.#drawn.get(row.username) ?? newRow(row.username)]));
    for (const row of rows) update(next.get(row.username), row, stillness.matches);
    this.#drawn = next;
    this.#arrange([...next.values()].map(({ tr }) => tr));
    if (!first && !stillness.matches && !document.hidden) this.#glide(before);
  }

  #places() {
    return new Map([...this.#drawn.values()].map(({ tr }) => [tr, tr.getBoundingClientRect().top]));
  }

  /** Touch only what is out of order, so that focus, selection and running animations survive. */
  #arrange(wanted) {
    const keep = new Set(wanted);
    for (const tr of [...this.#body.children]) if (!keep.has(tr)) tr.remove();
    wanted.forEach((tr, index) => {
      const there = this.#body.children[index];
      if (there !== tr) this.#body.insertBefore(tr, there ?? null);
    });
  }

  #glide(before) {
    for (const { tr } of this.#drawn.values()) {
      const from = before.get(tr);
      if (from === undefined) {
        tr.animate([{ opacity: 0 }, { opacity: 1 }], GLIDE);
        continue;
      }
      // The running glide is part of `from`; without it the row would jump before it turns.
      for (const running of tr.getAnimations()) if (running.id === "glide") running.cancel();
      const distance = from - tr.getBoundingClientRect().top;
      if (Math.abs(distance) < 1) continue;
      const rising = distance > 0 ? 2 : 1;
      const glide = tr.animate(
        [{ transform: `translateY(${distance}px)`, zIndex: rising }, { transform: "none", zIndex: rising }],
        GLIDE,
      );
      glide.id = "glide";
    }
  }
}

function newRow(username) {
  const numeral = el("span", { class: "numeral" });
  const rank = el("td", { class: "rank" }, el("span", { class: "medal" }, wreath("wreath"), numeral));
  const move = el("td", { class: "move" });
  const bdi = el("bdi", { title: username }, username);
  const name = el("th", { class: "name", scope: "row" }, el("span", { class: "line" }, bdi, el("i", { class: "leader" })));
  const value = el("span", { class: "value" });
  const score = el("td", { class: "score" }, value);
  const tr = el("tr", { "data-username": username }, rank, move, name, score);
  return { tr, numeral, move, value, shown: null };
}

function update(drawn, row, still) {
  const { tr, numeral, move, value } = drawn;
  tr.dataset.rank = row.rank ?? "";
  tr.dataset.score = row.score;
  if (row.rank === null) numeral.replaceChildren(el("span", { "aria-hidden": "true" }, "…"), spoken("place not known yet"));
  else numeral.replaceChildren(number(row.rank));
  showMovement(move, row.movement);
  if (drawn.shown === row.score) return;
  value.replaceChildren(...numberGroups(row.score).flatMap((group, i) => (i ? [el("wbr"), group] : [group])));
  if (drawn.shown !== null && !still) glow(value);
  drawn.shown = row.score;
}

function showMovement(cell, places) {
  const { kind, seen, heard } = movement(places);
  cell.dataset.kind = kind;
  cell.replaceChildren(el("span", { "aria-hidden": "true" }, seen), spoken(heard));
}

function glow(element) {
  const colour = getComputedStyle(element).getPropertyValue("--glow");
  element.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], GLOW);
}
