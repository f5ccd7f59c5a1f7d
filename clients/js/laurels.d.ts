/** Scores are BigInt: exact to 64 bits. */
export interface Row {
  rank: number | null;
  username: string;
  score: bigint;
  /** Places gained (+) or lost (−) since the last snapshot; null if new since then. */
  movement: number | null;
}

export interface Board {
  board: string;
  name: string;
  order: "desc" | "asc";
  period: "all_time" | "hour" | "day" | "week" | "month" | "quarter" | "year" | "cron";
  window: { starts_at: string | null; ends_at: string | null };
  epoch: string;
  seq: number;
  as_of: string;
  rank_state: string;
  total_users: number;
  rows: Row[];
  /** Identifies the content; only for live boards. */
  version?: string;
}

export interface BoardInfo {
  slug: string;
  name: string;
  is_default: boolean;
  order: string;
  aggregate: string;
  ties: string;
  period: string;
  calendar: Calendar;
}

/** When windows begin; neither `every` nor `cron`: one window for all time. Members at their defaults are left out. */
export interface Calendar {
  every?: "hour" | "day" | "week" | "month" | "quarter" | "year";
  interval?: number;
  first_day?: string;
  at?: string;
  anchor?: string;
  cron?: string;
  time_zone?: string;
}

export interface Standing {
  board: string;
  rank: number | null;
  score: bigint | null;
  total_users: number;
  epoch: string;
  seq: number;
  rank_state: string;
}

export interface Completion {
  username: string;
  action_type: string;
  score_earned: bigint;
  completed_at: string;
}

/** Valid for one award, from `not_before` until before `expires_at`, by the server's clock. */
export interface Ticket {
  ticket: string;
  action_type: string;
  challenge: string;
  started_at: string;
  not_before: string;
  expires_at: string;
}

export interface Receipt {
  action_id: number;
  action_type: string;
  action_identifier: string;
  status: "awarded" | "held" | "rejected";
  score_earned: bigint;
  /** Explains a score that differs from the base score, and says whether a number was clamped or rounded. */
  reason: string | null;
  new_score: bigint;
  rank: number | null;
  previous_rank: number | null;
  rank_state: string;
  entered_top: boolean;
  board: string;
  seq: number | null;
  completed_at: string;
  replayed: boolean;
}

export interface Refused {
  type: "refused";
  code: string;
  detail: string;
}

/** `entered`: usernames that have just entered the first ten of the rows. */
export type BoardEvent = { type: "board"; board: Board; entered: string[] } | Refused | { type: "subscribed"; resumed: string };
export type MeEvent = { type: "me"; username: string; boards: Standing[] } | Refused | { type: "subscribed" };
export type ActivityEvent = { type: "activity"; skipped: number; completions: Completion[] } | Refused | { type: "subscribed" };

/** idle: no subscription. polling: no socket gets through, boards are polled. closed: no reconnect. */
export type State = "idle" | "connecting" | "live" | "waiting" | "polling" | "paused" | "closed";

export interface Options {
  /** An access token, or a function that returns one; it is called again when the old one expires. */
  token?: string | (() => string | null | Promise<string | null>);
  /** The constructor of a WebSocket package, for runtimes without one (Node 20 without --experimental-websocket). */
  WebSocket?: unknown;
  fetch?: typeof fetch;
  onState?: (state: State) => void;
}

export interface Reading {
  signal?: AbortSignal;
}

export class LaurelsError extends Error {
  code: string;
  detail: string;
  status: number;
  retryAfter: number | null;
  /** Unknown whether it counted: send it again with `identifier`. */
  unsettled: boolean;
  identifier?: string;
}

export class Laurels {
  constructor(url?: string, options?: Options);
  readonly url: string;
  readonly state: State;
  board(slug: string, options: { size?: number }, on: (event: BoardEvent) => void): () => void;
  me(on: (event: MeEvent) => void): () => void;
  activity(slug: string, on: (event: ActivityEvent) => void): () => void;
  connect(): void;
  close(): void;
  boards(options?: Reading): Promise<BoardInfo[]>;
  top(slug: string, options?: Reading & { limit?: number }): Promise<Board>;
  window(slug: string, id: number | string, options?: Reading & { limit?: number }): Promise<Board>;
  around(slug: string, username: string, options?: Reading & { radius?: number }): Promise<Board>;
  get<T = unknown>(path: string, signal?: AbortSignal): Promise<T>;
  start(actionType: string): Promise<Ticket>;
  complete(
    actionType: string,
    options?: { identifier?: string; metadata?: Record<string, unknown>; completedAt?: string; ticket?: string; deadline?: number },
  ): Promise<Receipt>;
}

export interface Frame {
  type: string;
  channel?: string;
  [member: string]: unknown;
}

/** The protocol without a socket. */
export class Session {
  channels(): string[];
  board(channel: string): Board | null;
  subscribe(channel: string, size?: number): Frame | null;
  unsubscribe(channel: string): Frame;
  greet(token: string | null): Frame[];
  receive(frame: Frame): { send: Frame[]; news: [string | null, string, Record<string, unknown>][] };
}

export function parseExact(text: string): unknown;
export function applyDelta(board: Board | null, delta: Frame): Board | null;
export function backoff(attempt: number, random?: () => number): number;
export function comeBack(code: number, attempt: number, advised?: number | null, random?: () => number): number | null;
