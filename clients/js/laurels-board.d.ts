import type { Board } from "./laurels.js";

export type View = "loading" | "ready" | "empty" | "unreachable" | "unknown";

export class LaurelsBoard extends HTMLElement {
  /** Replaces phrases of the board, by name (see laurels-words.js). */
  phrases: Record<string, string | Partial<Record<Intl.LDMLPluralRule, string>>>;
  /** An access token or a function that returns one: the pinned row is then updated live. */
  token?: string | (() => string | null | Promise<string | null>);
  retry(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "laurels-board": LaurelsBoard;
  }
  interface HTMLElementEventMap {
    "laurels-board": CustomEvent<{ board: Board; entered: string[] }>;
    "laurels-state": CustomEvent<{ state: string; view: View }>;
  }
}
