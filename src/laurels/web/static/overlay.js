// /overlay/{slug}: only a board, for OBS and other screens. Options in the address:
// ?size=5 rows, ?title=none or any text, ?background=none, ?user=ada marks a row.

import "./laurels-board.js";
import { el } from "./laurels-dom.js";

const MAX_TITLE = 80;

const title = document.getElementById("title");
const options = new URLSearchParams(location.search);
const board = el("laurels-board", { board: lastPart(location.pathname), size: options.get("size"), user: options.get("user"), theme: "dark" });

document.documentElement.toggleAttribute("data-plain", options.get("background") === "none");
board.addEventListener("laurels-board", ({ detail }) => {
  const wanted = options.get("title");
  title.textContent = wanted === "none" ? "" : (wanted ?? detail.board.name).slice(0, MAX_TITLE);
});
document.querySelector("main").append(board);

function lastPart(path) {
  const part = path.split("/").at(-1);
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Not valid text: the board says that it is unknown.
  }
}
