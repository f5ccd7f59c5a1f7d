// Draws the rows of a board into a table body and animates each row to its new place.

import { el, spoken, wreath } from "./laurels-dom.js";

const GLIDE = { duration: 520, easing: "cubic-bezier(.2, .75, .25, 1)" };
const GLOW = { duration: 1600, easing: "ease-out" };
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

export class Rows {
  #body;
  #words;
  #link;
  #drawn = new Map(); // username → { tr, numeral, move, value, shown }

  /** `link(username)` returns the URL of a user's page; null: names are not links. */
  constructor(body, words, link = () => null) {
    this.#body = body;
    this.#words = words;
    this.#link = link;
  }

  clear() {
    this.#drawn.clear();
    this.#body.replaceChildren();
  }

  /** Show these rows in this order, the score as BigInt; the row of `mine` is marked. */
  show(rows, mine = null) {
    const before = this.#places();
    const first = this.#drawn.size === 0;
    const next = new Map(rows.map((row) => [row.username, this.#drawn.get(row.username) ?? newRow(row.username, this.#link(row.username))]));
    for (const row of rows) this.#update(next.get(row.username), row, mine);
    this.#drawn = next;
    this.#arrange([...next.values()].map(({ tr }) => tr));
    if (!first && !stillness.matches && !document.hidden) this.#glide(before);
  }

  #places() {
    return new Map([...this.#drawn.values()].map(({ tr }) => [tr, tr.getBoundingClientRect().top]));
  }

  /** Move only rows that are out of order, so that focus, selection and running animations survive. */
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
      const zIndex = distance > 0 ? 2 : 1; // Rising rows pass over falling ones.
      const glide = tr.animate([{ transform: `translateY(${distance}px)`, zIndex }, { transform: "none", zIndex }], GLIDE);
      glide.id = "glide";
    }
  }

  #update(drawn, row, mine) {
    const { tr, numeral, value } = drawn;
    const words = this.#words;
    tr.dataset.rank = row.rank ?? "";
    tr.dataset.score = row.score;
    tr.toggleAttribute("data-mine", row.username === mine);
    if (row.rank === null) numeral.replaceChildren(el("span", { "aria-hidden": "true" }, "…"), spoken(words.say("unknownPlace")));
    else numeral.replaceChildren(words.number(row.rank));
    this.#showMovement(drawn.move, row.movement);
    if (drawn.shown === row.score) return;
    value.replaceChildren(...words.numberGroups(row.score).flatMap((group, i) => (i ? [el("wbr"), group] : [group])));
    if (drawn.shown !== null && !stillness.matches) glow(value);
    drawn.shown = row.score;
  }

  #showMovement(cell, places) {
    const { kind, seen, heard } = this.#words.movement(places);
    cell.dataset.kind = kind;
    cell.replaceChildren(el("span", { "aria-hidden": "true" }, seen), spoken(heard));
  }
}

function newRow(username, href) {
  const numeral = el("span", { class: "numeral" });
  const rank = el("td", { class: "rank" }, el("span", { class: "medal" }, wreath("wreath"), numeral));
  const move = el("td", { class: "move" });
  const bdi = el("bdi", { title: username }, href ? el("a", { href }, username) : username);
  const name = el("th", { class: "name", scope: "row" }, el("span", { class: "line" }, bdi, el("i", { class: "leader" })));
  const value = el("span", { class: "value" });
  const tr = el("tr", { "data-username": username }, rank, move, name, el("td", { class: "score" }, value));
  return { tr, numeral, move, value, shown: null };
}

function glow(element) {
  const colour = getComputedStyle(element).getPropertyValue("--glow");
  element.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], GLOW);
}
