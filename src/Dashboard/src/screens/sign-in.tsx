import { useState } from "preact/hooks";
import { ApiError, call } from "../lib/api";
import type { Session } from "../lib/types";
import { Banner } from "../ui/parts";
import { Logo } from "../ui/shell";

/** Exchanges an API key for a session cookie. The key is in memory until the response, and in no storage. */
export function SignIn({ ended, onSession }: { ended: boolean; onSession: (session: Session) => void }) {
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      onSession(await call<Session>("POST", "/api/v1/session", { key: key.trim() }));
    } catch (failure) {
      const { status, message } = failure as ApiError;
      setError(status === 401 ? "The key is unknown, revoked or expired." : message);
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1 class="brand"><Logo size={30} />Sluice</h1>
        <p class="muted">Sign in with an API key of this gateway. It is exchanged for a session of 12 hours.</p>
        {ended && !error ? <Banner tone="info">The session has ended. Sign in again.</Banner> : null}
        {error ? <Banner tone="bad">{error}</Banner> : null}
        <label class="field">
          <span>API key</span>
          <input class="input mono" type="password" name="key" value={key} required autoFocus autoComplete="off"
            spellcheck={false} placeholder="slk_…" onInput={(e) => setKey(e.currentTarget.value)} />
          <small>The first start of the gateway prints an admin key. A key with the scope read can only look.</small>
        </label>
        <button class="button primary" disabled={busy || key.trim() === ""}>Sign in</button>
      </form>
    </main>
  );
}
