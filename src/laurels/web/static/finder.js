// Finds people while a name is typed: a list of links under the field, navigated with the arrow keys.

import { Laurels } from "./laurels.js";
import { el } from "./laurels-dom.js";
import { words } from "./format.js";

const PAUSE_MS = 150;

export function finder(input, list, status) {
  const laurels = new Laurels();
  let timer = 0;
  let asking = new AbortController();

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE_MS);
  });
  input.parentElement.addEventListener("keydown", walk);
  input.parentElement.addEventListener("focusout", ({ relatedTarget }) => {
    if (!input.parentElement.contains(relatedTarget)) list.hidden = true;
  });
  input.addEventListener("focus", () => (list.hidden = list.children.length === 0));

  async function search() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const prefix = input.value.trimStart();
    if (!prefix) return show([], "");
    try {
      const { people } = await laurels.get(`/api/users?prefix=${encodeURIComponent(prefix)}&limit=8`, signal);
      const many = people.length ? words.say("people", { n: people.length }) : `No one is called ${prefix}…`;
      show(people.length ? people.map(entry) : [el("li", { class: "empty" }, many)], many);
    } catch (error) {
      if (!signal.aborted) show([el("li", { class: "empty" }, error.detail ?? "The search cannot be reached.")], "");
    }
  }

  function show(entries, count) {
    // The same answer is not drawn again, so that the selected link keeps the focus.
    if (list.textContent !== entries.map(({ textContent }) => textContent).join("")) list.replaceChildren(...entries);
    list.hidden = entries.length === 0;
    status.textContent = count;
  }

  function walk(event) {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") list.hidden = true;
    else if (event.key === "ArrowDown" && links.length) links[Math.min(at + 1, links.length - 1)].focus();
    else if (event.key === "ArrowUp" && at >= 0) (links[at - 1] ?? input).focus();
    else if (event.key === "Enter" && at < 0 && links.length) links[0].click();
    else return;
    event.preventDefault();
  }
}

function entry({ username, score }) {
  return el("li", {}, el("a", { href: `/u/${encodeURIComponent(username)}` }, el("bdi", {}, username), el("span", {}, words.number(score))));
}
