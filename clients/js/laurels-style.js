// The style of the board: an honours board. Every colour and font can be replaced from outside by a --laurels-… variable.

const DARK = `
  --ink: var(--laurels-ink, #efe8d3);
  --muted: var(--laurels-muted, #a5b09f);
  --paper: var(--laurels-paper, #0e1c16);
  --line: var(--laurels-line, #284035);
  --dots: var(--laurels-dots, #4a6356);
  --accent: var(--laurels-accent, #d9b65c);
  --on-accent: var(--laurels-on-accent, #14241b);
  --gold: var(--laurels-gold, #dcb85b);
  --silver: var(--laurels-silver, #b7c2bf);
  --bronze: var(--laurels-bronze, #cf9467);
  --up: var(--laurels-up, #86cf9f);
  --down: var(--laurels-down, #f0a184);
  --glow: var(--laurels-glow, #5c4d1c);
  --mine: var(--laurels-mine, #1d3329);
`;

export const STYLE = `
:host {
  --ink: var(--laurels-ink, #18261e);
  --muted: var(--laurels-muted, #59634f);
  --paper: var(--laurels-paper, #f7f4ea);
  --line: var(--laurels-line, #ddd6c2);
  --dots: var(--laurels-dots, #b9b197);
  --accent: var(--laurels-accent, #1f4a34);
  --on-accent: var(--laurels-on-accent, #f7f1dc);
  --gold: var(--laurels-gold, #a67c1a);
  --silver: var(--laurels-silver, #7d8886);
  --bronze: var(--laurels-bronze, #a2633a);
  --up: var(--laurels-up, #1f6b42);
  --down: var(--laurels-down, #9a3f22);
  --glow: var(--laurels-glow, #f1dc9a);
  --mine: var(--laurels-mine, #ece4c8);
  --row: var(--laurels-row-height, 3.25rem);
  --serif: var(--laurels-serif, "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, "Book Antiqua", Georgia, "Noto Serif", serif);
  --sans: var(--laurels-sans, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif);
  display: block;
  container-type: inline-size;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.5 var(--sans);
}
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) {${DARK}} }
:host([theme="dark"]) {${DARK}}
:host([hidden]) { display: none; }
*, ::before, ::after { box-sizing: border-box; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px; }

.spoken { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.board {
  width: 100%;
  border-collapse: separate; /* Collapsed borders would stay behind when a row glides. */
  border-spacing: 0;
  table-layout: fixed;
  transition: opacity .5s ease .25s, filter .5s ease .25s;
}

/* Not current: pale, but still readable. */
:host([state="connecting"]) .board, :host([state="waiting"]) .board, :host([state="paused"]) .board, :host([state="closed"]) .board { opacity: .7; filter: saturate(.3); }
:host([state="connecting"]) .board *, :host([state="waiting"]) .board *, :host([state="paused"]) .board *, :host([state="closed"]) .board * { color: var(--ink); }

.col-rank { width: 3.5rem; }
.col-move { width: 3.25rem; }
.col-score { width: min(var(--score-digits, 5) * .62em + .75rem, 40cqw); font: 500 1.125rem/1 var(--serif); }

thead th {
  padding: 0 0 .5rem;
  border-bottom: 3px double var(--accent);
  color: var(--muted);
  font-size: .6875rem;
  font-weight: 600;
  letter-spacing: .12em;
  line-height: 1.3;
  text-align: start;
  text-transform: uppercase;
}
thead .rank { text-align: center; letter-spacing: .06em; }
thead .name { padding-inline-start: .25rem; }
thead .score { text-align: end; letter-spacing: .1em; }

tbody tr { position: relative; background: var(--paper); /* Opaque: rows pass over each other. */ }
tbody td, tbody th { height: var(--row); padding: .2rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
tbody tr[data-mine] { background: var(--mine); box-shadow: -.55rem 0 var(--mine), .55rem 0 var(--mine), calc(-.55rem - 3px) 0 var(--accent); }
tbody tr[data-mine] .name { box-shadow: none; font-weight: 700; }

.pinned { position: sticky; inset-block-end: 0; }
.pinned tr:first-child > * { border-top: 3px double var(--line); }

.medal { position: relative; display: grid; place-items: center; width: 3rem; height: 2.75rem; margin: 0 auto; }
.numeral { grid-area: 1 / 1; font: 500 1.125rem/1 var(--serif); font-variant-numeric: lining-nums tabular-nums; color: var(--muted); }
.wreath { grid-area: 1 / 1; display: none; width: 2.875rem; height: 2.875rem; }
[data-rank="1"] .wreath, [data-rank="2"] .wreath, [data-rank="3"] .wreath { display: block; }
[data-rank="1"] .wreath { fill: var(--gold); }
[data-rank="2"] .wreath { fill: var(--silver); }
[data-rank="3"] .wreath { fill: var(--bronze); }
[data-rank="1"] .numeral, [data-rank="2"] .numeral, [data-rank="3"] .numeral { color: var(--ink); font-weight: 600; }

.move { padding-inline: .35rem; font-size: .8125rem; font-variant-numeric: tabular-nums; text-align: center; white-space: nowrap; overflow: hidden; }
.move[data-kind="up"] { color: var(--up); }
.move[data-kind="down"] { color: var(--down); }
.move[data-kind="same"] { color: var(--muted); }
.move[data-kind="new"] span:first-child { padding: .1rem .4rem .15rem; border: 1px solid currentColor; border-radius: 99px; color: var(--up); font-size: .6875rem; font-weight: 600; }
:host([window]) .move span { display: none; } /* No movement in a past window. */

tbody .name { font: 400 1.125rem/1.4 var(--serif); text-align: start; }
tbody [data-rank="1"] .name { font-size: 1.375rem; font-weight: 600; }
tbody [data-rank="2"] .name, tbody [data-rank="3"] .name { font-size: 1.1875rem; font-weight: 600; }
.line { display: flex; align-items: baseline; gap: .5rem; min-width: 0; padding-inline: .25rem .5rem; }
.line bdi { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.line a { color: inherit; text-decoration: none; }
.line a:hover { text-decoration: underline; text-underline-offset: .2em; text-decoration-thickness: 1px; }
.leader { flex: 1; min-width: 0; border-bottom: 1.5px dotted var(--dots); }

.score { text-align: end; }
.value { display: inline-block; padding: .15rem .3rem; margin-inline-end: -.3rem; border-radius: 4px; font: 500 1.125rem/1.3 var(--serif); font-variant-numeric: lining-nums tabular-nums; }
[data-rank="1"] .value { font-weight: 700; }

@container (max-width: 30rem) {
  .col-rank { width: 2.75rem; }
  .col-move { width: 3.25rem; }
  .medal { width: 2.5rem; height: 2.5rem; }
  .wreath { width: 2.6rem; height: 2.6rem; }
  .numeral { font-size: 1rem; }
  .move { padding-inline: 0; font-size: .75rem; }
  .move[data-kind="new"] span:first-child { padding-inline: .25rem; }
  thead th { letter-spacing: .04em; }
  .leader { display: none; }
  tbody .name, .value, .col-score { font-size: 1rem; }
  .long-scores .value, .long-scores .col-score { font-size: .8125rem; line-height: 1.25; }
  .long-scores .col-score { width: min(var(--score-digits) * .62em + .75rem, 34cqw); }
  tbody [data-rank="1"] .name { font-size: 1.125rem; }
  tbody [data-rank="2"] .name, tbody [data-rank="3"] .name { font-size: 1rem; }
}

/* Shown instead of a board; chosen by the attribute view */
.skeleton, .notice { display: none; }
:host(:not([view="ready"])) .board { display: none; }
:host([view="loading"]) .skeleton { display: block; }
:host([view="empty"]) .empty, :host([view="unreachable"]) .unreachable, :host([view="unknown"]) .unknown { display: block; }

.skeleton { margin-top: 1.6rem; border-top: 3px double var(--line); animation: appear .3s ease .2s backwards; }
.skeleton i { display: block; height: var(--row); border-bottom: 1px solid var(--line); position: relative; }
.skeleton i::before, .skeleton i::after { content: ""; position: absolute; top: 1.2rem; height: .85rem; border-radius: 3px; background: var(--line); animation: breathe 1.8s ease-in-out infinite; }
.skeleton i::before { left: 1rem; width: 45%; }
.skeleton i::after { right: 0; width: 4rem; }
.skeleton i:nth-child(even)::before { width: 32%; }

.notice { padding: clamp(1rem, 5cqw, 2.5rem) 0; text-align: center; color: var(--muted); }
.notice p { margin: .35rem auto; max-width: 34rem; overflow-wrap: anywhere; }
.notice .say { color: var(--ink); font: 500 1.5rem/1.3 var(--serif); }
.crest { width: 6.5rem; height: 6.5rem; margin-bottom: .75rem; fill: var(--gold); opacity: .85; }
.unreachable .crest, .unknown .crest { fill: var(--dots); }
button { margin-top: .9rem; padding: .6rem 1.25rem; border: 0; border-radius: 4px; background: var(--accent); color: var(--on-accent); font: 600 .9375rem/1.2 var(--sans); cursor: pointer; }
button:hover { filter: brightness(1.12); }

.status { display: flex; align-items: center; gap: .5rem; margin: 0; padding: .6rem 0; color: var(--muted); font-size: .8125rem; font-variant-numeric: tabular-nums; }
.lamp { flex: none; width: .5rem; height: .5rem; border-radius: 50%; background: none; box-shadow: inset 0 0 0 2px var(--down); }
:host([state="live"]) .lamp, :host([state="polling"]) .lamp { background: var(--up); box-shadow: none; }
:host([state="over"]) .lamp { background: var(--muted); box-shadow: none; }
:host([state="connecting"]) .lamp, :host([state="waiting"]) .lamp { background: var(--gold); box-shadow: none; animation: breathe 1.6s ease-in-out infinite; }

@keyframes breathe { 50% { opacity: .25; } }
@keyframes appear { from { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .lamp { forced-color-adjust: none; } .wreath, .crest { fill: CanvasText !important; } }
`;
