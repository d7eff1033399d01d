/** History paths below /ui/: the whole state of a screen is in its URL. */
import { useEffect, useState } from "preact/hooks";

export const BASE = "/ui";

export interface Place {
  /** The path below the base, without its first and last slash, split and decoded. */
  parts: string[];
  query: URLSearchParams;
}

const listeners = new Set<() => void>();

export function read(url: { pathname: string; search: string }): Place {
  const path = url.pathname.startsWith(BASE) ? url.pathname.slice(BASE.length) : url.pathname;
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(url.search) };
}

/** The URL of a screen. Parts are encoded; parameters without a value are left out. */
export function link(parts: string[], query: Record<string, string | null | undefined> = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) params.set(name, value);
  const text = params.toString();
  return `${BASE}/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export function navigate(url: string, replace = false): void {
  if (url === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  if (!replace) scrollTo(0, 0);
  for (const listener of [...listeners]) listener();
}

export function usePlace(): Place {
  const [place, set] = useState(() => read(location));
  useEffect(() => {
    const update = () => set(read(location));
    listeners.add(update);
    addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      removeEventListener("popstate", update);
    };
  }, []);
  return place;
}

/** A value that is stored in the query of the URL. The default value is not written. */
export function useParam(name: string, initial = ""): [string, (value: string) => void] {
  const place = usePlace();
  const set = (value: string) => {
    const query = new URLSearchParams(location.search);
    if (value && value !== initial) query.set(name, value);
    else query.delete(name);
    const text = query.toString();
    navigate(location.pathname + (text ? `?${text}` : ""), true);
  };
  return [place.query.get(name) ?? initial, set];
}

/** Follows links to screens without loading the page again. */
export function interceptLinks(): void {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const anchor = (event.target as Element | null)?.closest?.("a");
    if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
    if (anchor.pathname !== BASE && !anchor.pathname.startsWith(`${BASE}/`)) return;
    event.preventDefault();
    navigate(anchor.pathname + anchor.search);
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
