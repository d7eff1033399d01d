/** Dialogs, confirmations and short messages. Focus stays inside an open dialog, and returns afterwards. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../lib/api";
import { Banner, Icon } from "./parts";

const FOCUSABLE =
  "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea, [tabindex='0']";

export function Dialog({ title, onClose, children, footer, narrow, class: own }: {
  title: string; onClose: () => void; children: ComponentChildren; footer?: ComponentChildren; narrow?: boolean;
  class?: string;
}) {
  const box = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const first = box.current?.querySelector<HTMLElement>("[data-first], .dialog-body input, .dialog-body textarea");
    (first ?? box.current)?.focus();
    const onKey = (e: KeyboardEvent) => {
      if (e.key === "Escape") close.current();
      if (e.key !== "Tab" || !box.current) return;
      const all = [...box.current.querySelectorAll<HTMLElement>(FOCUSABLE)];
      const [start, end] = [all[0], all.at(-1)];
      if (!start || !end) return;
      const outside = !box.current.contains(document.activeElement);
      if (e.shiftKey ? document.activeElement === start || outside : document.activeElement === end || outside) {
        e.preventDefault();
        (e.shiftKey ? end : start).focus();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("keydown", onKey);
      before?.focus?.();
    };
  }, []);
  return (
    <div class="dialog-layer" onMouseDown={(e) => e.target === e.currentTarget && onClose()}>
      <div ref={box} class={`dialog ${narrow ? "narrow" : ""} ${own ?? ""}`} role="dialog" aria-modal="true"
        aria-label={title} tabIndex={-1}>
        {own === "palette" ? children : (
          <>
            <header>
              <h2>{title}</h2>
              <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
                <Icon name="close" />
              </button>
            </header>
            <div class="dialog-body">{children}</div>
            {footer ? <footer>{footer}</footer> : null}
          </>
        )}
      </div>
    </div>
  );
}

/** Asks before an action, shows its error, and closes when it has succeeded. */
export function Confirm({ title, action, children, run, onClose, danger = true, disabled = false }: {
  title: string; action: string; children: ComponentChildren; run: () => Promise<void>; onClose: () => void;
  danger?: boolean; disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      await run();
      onClose();
    } catch (e) {
      setError(e instanceof ApiError ? e.message : String(e));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose} narrow footer={
      <>
        <button type="button" class="button" onClick={onClose}>Keep</button>
        <button type="button" data-first class={`button primary ${danger ? "danger" : ""}`} disabled={busy || disabled}
          onClick={go}>{action}</button>
      </>
    }>
      <div>{children}</div>
      {error ? <Banner tone="bad">{error}</Banner> : null}
    </Dialog>
  );
}

interface Toast {
  id: number;
  tone: "ok" | "bad";
  text: string;
}

let next = 0;
let show: ((toast: Toast) => void) | null = null;

export function say(text: string, tone: "ok" | "bad" = "ok"): void {
  show?.({ id: next++, tone, text });
}

/** Runs an action and reports its success or its error. It returns whether it succeeded. */
export async function attempt(action: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await action();
    if (done) say(done);
    return true;
  } catch (e) {
    say(e instanceof Error ? e.message : String(e), "bad");
    return false;
  }
}

export function Toasts() {
  const [all, set] = useState<Toast[]>([]);
  useEffect(() => {
    show = (toast) => {
      set((old) => [...old.slice(-2), toast]);
      setTimeout(() => set((old) => old.filter((t) => t.id !== toast.id)), toast.tone === "bad" ? 9000 : 4000);
    };
    return () => {
      show = null;
    };
  }, []);
  return (
    <div class="toasts" aria-live="polite">
      {all.map((t) => <Banner key={t.id} tone={t.tone}>{t.text}</Banner>)}
    </div>
  );
}
