/** Data of a screen: fetched, fetched again at intervals, or followed as server-sent events. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api";

export interface Fetched<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  /** Fetches again. It resolves when the new data is shown. */
  reload: () => Promise<void>;
}

/** The latest responses by path: a screen that is opened again shows its data immediately. */
const latest = new Map<string, unknown>();
const KEPT = 200;

/** Forgets all responses, when the session ends. */
export function forget(): void {
  latest.clear();
}

/**
 * Fetches a path, and again every `every` ms while the page is visible. A path that is null fetches nothing.
 */
export function useGet<T>(path: string | null, every = 0): Fetched<T> {
  const [state, set] = useState<{ path: string | null; data: T | null; error: ApiError | null }>(
    () => ({ path, data: (path && (latest.get(path) as T)) || null, error: null }));
  const stop = useRef<AbortController | null>(null);
  const load = useCallback(async () => {
    if (path === null) return;
    stop.current?.abort();
    const own = (stop.current = new AbortController());
    try {
      const data = await get<T>(path, own.signal);
      latest.delete(path);
      latest.set(path, data);
      if (latest.size > KEPT) latest.delete(latest.keys().next().value!);
      if (!own.signal.aborted) set({ path, data, error: null });
    } catch (e) {
      if (own.signal.aborted) return;
      const error = e instanceof ApiError ? e : new ApiError(0, String(e));
      set((old) => ({ path, data: error.status === 404 || old.path !== path ? null : old.data, error }));
    }
  }, [path]);
  useEffect(() => {
    void load();
    const again = () => {
      if (!document.hidden) void load();
    };
    const timer = every > 0 ? setInterval(again, every) : 0;
    if (every > 0) document.addEventListener("visibilitychange", again);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", again);
      stop.current?.abort();
    };
  }, [load, every]);
  const current = state.path === path;
  const data = current ? state.data : ((path && (latest.get(path) as T)) || null);
  const error = current ? state.error : null;
  return { data, error, loading: path !== null && data === null && error === null, reload: load };
}

export interface Followed {
  /** `open` while events arrive, `waiting` while the browser connects, `ended` after the stream's end. */
  state: "waiting" | "open" | "ended";
}

/**
 * Follows server-sent events. The browser connects again by itself, with the id of the last event.
 * A 401 or 404 closes the stream for good: then `onRefused` is called.
 */
export function useEvents(path: string | null, events: string[], onEvent: (name: string, data: string) => void,
  onRefused?: () => void): Followed {
  const [state, set] = useState<Followed["state"]>("waiting");
  const handler = useRef(onEvent);
  handler.current = onEvent;
  const refused = useRef(onRefused);
  refused.current = onRefused;
  const names = events.join(" ");
  useEffect(() => {
    if (path === null) return;
    set("waiting");
    const source = new EventSource(path);
    source.onopen = () => set("open");
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) {
        set("waiting");
        return;
      }
      set("ended");
      refused.current?.();
    };
    for (const name of names.split(" ")) {
      source.addEventListener(name, (e) => handler.current(name, (e as MessageEvent<string>).data));
    }
    source.addEventListener("end", () => {
      set("ended");
      source.close();
    });
    return () => source.close();
  }, [path, names]);
  return { state };
}

/** Whether the page is visible: a hidden one holds none of the few connections of a browser to one origin. */
export function useVisible(): boolean {
  const [visible, set] = useState(!document.hidden);
  useEffect(() => {
    const update = () => set(!document.hidden);
    document.addEventListener("visibilitychange", update);
    return () => document.removeEventListener("visibilitychange", update);
  }, []);
  return visible;
}

const tickers = new Set<() => void>();
let ticking = 0;

/** The present time, once a second: one timer for all that show times. */
export function useNow(step = 1000): number {
  const [now, set] = useState(() => Date.now());
  useEffect(() => {
    const tick = () => set((old) => (Date.now() - old >= step - 50 ? Date.now() : old));
    tickers.add(tick);
    if (!ticking) ticking = window.setInterval(() => tickers.forEach((t) => t()), 1000);
    return () => {
      tickers.delete(tick);
      if (tickers.size === 0) {
        clearInterval(ticking);
        ticking = 0;
      }
    };
  }, [step]);
  return now;
}
