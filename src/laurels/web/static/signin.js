// The sign-in dialog, and the button in the masthead that opens it.

import { el } from "./laurels-dom.js";
import { signIn, signOut, whoAmI } from "./session.js";

/** Open the dialog; resolve to { username, role }, or to null when it was closed without signing in. */
export function askToSignIn(why = "Sign in") {
  const name = el("input", { name: "username", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxlength: "64" });
  const password = el("input", { name: "password", type: "password", required: true, autocomplete: "current-password", maxlength: "256" });
  const problem = el("p", { class: "problem", role: "alert" });
  const enter = el("button", { type: "submit" }, "Sign in");
  const cancel = el("button", { type: "button", class: "quiet" }, "Cancel");
  const form = el("form", {}, el("h2", { id: "signin_title" }, why), field("Username", name), field("Password", password), problem, el("p", { class: "buttons" }, cancel, enter));
  const dialog = el("dialog", { class: "dialog", "aria-labelledby": "signin_title" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    let who = null;
    cancel.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      enter.disabled = true;
      problem.textContent = "";
      try {
        who = await signIn(name.value, password.value);
        dialog.close();
      } catch (error) {
        problem.textContent = error.detail ?? "The server cannot be reached. Try again.";
        enter.disabled = false;
        password.select();
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(who);
    });
    dialog.showModal();
  });
}

/** Set the button up. `changed(who)` is called now and whenever the user signs in or out. */
export function accountButton(button, changed) {
  const show = () => {
    const who = whoAmI();
    button.replaceChildren(who ? "Sign out" : "Sign in");
    button.title = who ? `Signed in as ${who.username}` : "";
    changed(who);
  };
  button.addEventListener("click", async () => {
    if (whoAmI()) await signOut();
    else if (!(await askToSignIn())) return;
    show();
  });
  addEventListener("signed-out", show);
  show();
}

function field(label, input) {
  return el("label", { class: "field" }, el("span", {}, label), input);
}
