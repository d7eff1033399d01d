/** Light or dark: the system's choice, or the person's, which is stored in this browser. */
import { useEffect, useState } from "preact/hooks";

const NAME = "sluice-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function chosen(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

export function isDark(): boolean {
  const own = chosen();
  return own ? own === "dark" : system.matches;
}

function apply(): void {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  for (const listener of [...listeners]) listener();
}

export function toggle(): void {
  const dark = !isDark();
  try {
    if (dark === system.matches) localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, dark ? "dark" : "light");
  } catch {
    // The choice is then that of the system.
  }
  apply();
}

export function start(): void {
  system.addEventListener("change", apply);
  apply();
}

/** Whether the theme is dark; it changes with the theme. */
export function useDark(): boolean {
  const [dark, set] = useState(isDark);
  useEffect(() => {
    const update = () => set(isDark());
    listeners.add(update);
    return () => {
      listeners.delete(update);
    };
  }, []);
  return dark;
}

/** The value of a colour of the present theme. */
export const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
