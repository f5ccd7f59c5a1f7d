// The session of this tab: tokens are kept until the tab is closed, and refreshed before they expire.

const KEY = "laurels";
const EARLY_MS = 30_000;

let renewal = null; // One at a time: a refresh token can be used once.

/** Return { username, role }, or null when signed out. */
export function whoAmI() {
  const kept = read();
  return kept && { username: kept.username, role: kept.role };
}

/** Sign in. Throws { code, detail } of the API, or a TypeError when it cannot be reached. */
export async function signIn(username, password) {
  store(await post("/api/auth/login", { username, password }));
  return whoAmI();
}

export async function signOut() {
  const kept = read();
  sessionStorage.removeItem(KEY);
  if (kept) await post("/api/auth/logout", { refresh_token: kept.refresh_token }).catch(() => {}); // It also expires by itself.
}

/** Return an access token that is valid for some seconds at least; null when signed out. */
export async function token() {
  const kept = read();
  if (!kept) return null;
  if (Date.now() < kept.until - EARLY_MS) return kept.access_token;
  renewal ??= renew(kept).finally(() => (renewal = null));
  return renewal;
}

async function renew({ refresh_token }) {
  try {
    store(await post("/api/auth/refresh", { refresh_token }));
  } catch (error) {
    if (!error.code) throw error; // Not reachable: try again later.
    sessionStorage.removeItem(KEY);
    dispatchEvent(new Event("signed-out"));
  }
  return read()?.access_token ?? null;
}

async function post(path, body) {
  const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const answer = reply.status === 204 ? null : await reply.json();
  if (!reply.ok) throw answer;
  return answer;
}

function store({ access_token, refresh_token, expires_in, user }) {
  const kept = { access_token, refresh_token, until: Date.now() + 1000 * expires_in, username: user.username, role: user.role };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
}

function read() {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
}
