/** Small parts of all screens: icons, badges, times, ids, banners, empty states. Text is rendered as text only. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { absolute, relative } from "../lib/format";
import { useNow } from "../lib/live";
import type { ApiError } from "../lib/api";

const ICONS: Record<string, string> = {
  overview: "M2 13V8m4 5V3m4 10V6m4 7V9",
  endpoint: "M3 3h10v4H3zM3 9h10v4H3zM5.5 5h.01M5.5 11h.01",
  job: "M3 4h10M3 8h10M3 12h6",
  chat: "M3 3h10v8H7l-3 2.5V11H3z",
  model: "M8 2l5 3v6l-5 3-5-3V5zM3 5l5 3 5-3M8 8v6",
  gpu: "M4 4h8v8H4zM6.5 6.5h3v3h-3zM6 2v2m4-2v2M6 12v2m4-2v2M2 6h2m-2 4h2m8-4h2m-2 4h2",
  pod: "M2 4h12v8H2zM5 7l2 1.5L5 10m4 0h2",
  key: "M10.5 2.5a3 3 0 1 1-2.6 4.5L3 12v1.5h2V12h1.5v-1.5L8 9M11 5h.01",
  usage: "M8 2a6 6 0 1 0 6 6H8z M10.5 1.8A6 6 0 0 1 14.2 5.5h-3.7z",
  webhook: "M4 8a4 4 0 0 1 8 0M2 8h4m4 0h4M8 8v5m-2 0h4",
  dead: "M3 5h10l-1 8H4zM2 5h12M6 5V3h4v2M6.5 8v3m3-3v3",
  audit: "M4 2h6l2 2v10H4zM6 7h4M6 10h4",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.5 10.5 14 14",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6M8 1.5V3m0 10v1.5M1.5 8H3m10 0h1.5M3.4 3.4l1 1m7.2 7.2 1 1"
    + "M3.4 12.6l1-1m7.2-7.2 1-1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  done: "M3 8.5 6.5 12 13 4.5",
  close: "M4 4l8 8m0-8-8 8",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  alert: "M8 2.5 14 13H2zM8 6.5v3m0 2v.01",
  external: "M6 3H3v10h10v-3M9 3h4v4M13 3 7.5 8.5",
  out: "M6 3H3v10h3M7 8h7m-2.5-2.5L14 8l-2.5 2.5",
  right: "M6 3.5 10.5 8 6 12.5",
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={ICONS[name] ?? ""} />
    </svg>
  );
}

const TONES: Record<string, string> = {
  ready: "ok", running: "ok", completed: "ok", delivered: "ok", open: "ok", active: "ok",
  starting: "info live", in_progress: "info live", in_queue: "info", provisioning: "info live", pending: "info",
  uploading: "info live", checking: "info live", pulling: "info live", waiting: "info live",
  draining: "warn", retrying: "warn", timed_out: "warn", paused: "warn", queue: "warn", refuse: "warn",
  abandoned: "warn",
  failed: "bad", error: "bad", blocked: "bad", dead: "bad", refused: "bad",
};

/** A state by name, with its colour. `text` replaces the name. */
export function State({ name, text, title }: { name: string; text?: string | undefined; title?: string | undefined }) {
  const known = name.toLowerCase();
  return <span class={`badge ${TONES[known] ?? ""}`} title={title}>{text ?? known.replaceAll("_", " ")}</span>;
}

/** Workers by state: one badge for each. */
export function WorkerStates({ workers, none = "none" }: { workers: Record<string, number>; none?: string }) {
  const some = Object.entries(workers).filter(([, n]) => n > 0);
  if (some.length === 0) return <span class="faint">{none}</span>;
  return <span class="badges">{some.map(([s, n]) => <State key={s} name={s} text={`${n} ${s}`} />)}</span>;
}

/** A time, relative to now; the absolute one is shown on hover. */
export function Time({ at, none = "–" }: { at: string | number | null | undefined; none?: string }) {
  const now = useNow();
  if (!at) return <span class="faint">{none}</span>;
  return <time class="nowrap" dateTime={new Date(at).toISOString()} title={absolute(at)}>{relative(at, now)}</time>;
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https, browsers have no clipboard: select the text in a field and copy it.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, set] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => set(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" class="icon-button small" aria-label={done ? "Copied" : label} title={label}
      onClick={async (e) => {
        e.preventDefault();
        e.stopPropagation();
        set(await copyText(text));
      }}>
      <Icon name={done ? "done" : "copy"} size={13} />
    </button>
  );
}

/** An id that can be copied, and that is a link if `href` is given. */
export function Id({ id, href, short }: { id: string; href?: string; short?: boolean }) {
  const text = short && id.length > 13 ? `${id.slice(0, 4)}…${id.slice(-8)}` : id;
  return (
    <span class="id" title={id}>
      {href ? <a class="clip" href={href}>{text}</a> : <span class="clip">{text}</span>}
      <CopyButton text={id} label={`Copy ${id}`} />
    </span>
  );
}

export function Banner({ tone, children }: { tone: "bad" | "warn" | "info" | "ok"; children: ComponentChildren }) {
  return (
    <div class={`banner ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={tone === "ok" ? "done" : "alert"} />
      <div class="grow">{children}</div>
    </div>
  );
}

export function ErrorBanner({ error }: { error: ApiError | null }) {
  if (!error) return null;
  return (
    <Banner tone="bad">
      {error.message}
      {error.requestId ? <small> Request {error.requestId}.</small> : null}
    </Banner>
  );
}

export function Snippet({ text, label = "Copy the command" }: { text: string; label?: string }) {
  return (
    <div class="snippet">
      <pre tabIndex={0} aria-label="Command">{text}</pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}

/** What a screen without data shows: what would be here, and a command that makes it. */
export function Empty({ title, children, command }:
  { title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children ? <p>{children}</p> : null}
      {command ? <Snippet text={command} /> : null}
    </div>
  );
}

export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div class="card-body stack tight" role="status" aria-busy="true" aria-label="Loading">
      <span />
      {Array.from({ length: rows }, (_, i) => <div key={i} class="skeleton" />)}
    </div>
  );
}

/** A part of a screen, with a title or with filters in its head. */
export function Card({ title, filters, actions, children, note }: {
  title?: ComponentChildren; filters?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren;
  note?: ComponentChildren;
}) {
  return (
    <section class="card">
      {title || filters ? (
        <div class="card-head">
          {title ? <h2>{title}</h2> : null}
          {filters ? <div class="filters">{filters}</div> : null}
          {note ? <span class="faint">{note}</span> : null}
          {actions ? <div class="actions">{actions}</div> : null}
        </div>
      ) : null}
      {children}
    </section>
  );
}

export function Head({ title, children, text, badges }: {
  title: ComponentChildren; children?: ComponentChildren; text?: ComponentChildren; badges?: ComponentChildren;
}) {
  return (
    <header class="page-head">
      <div class="grow">
        <div class="row"><h1>{title}</h1>{badges}</div>
        {text ? <p>{text}</p> : null}
      </div>
      {children ? <div class="actions">{children}</div> : null}
    </header>
  );
}

/** Any JSON, indented. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
  const cut = text.length > 100_000 ? `${text.slice(0, 100_000)}\n… (${text.length} characters)` : text;
  return (
    <div class="snippet">
      <pre class="json" tabIndex={0} aria-label={label}>{cut}</pre>
      <CopyButton text={text} label={`Copy: ${label}`} />
    </div>
  );
}

/** Text with the parts that match a search marked. */
export function Marked({ text, find }: { text: string; find: string }) {
  if (!find) return <>{text}</>;
  const [parts, low, needle] = [[] as ComponentChildren[], text.toLowerCase(), find.toLowerCase()];
  let from = 0;
  for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + needle.length)}</mark>);
    from = at + needle.length;
  }
  parts.push(text.slice(from));
  return <>{parts}</>;
}

/** One of a few choices, as joined buttons. */
export function Segments({ label, options, value, onChange }: {
  label: string; options: readonly (readonly [string, string])[]; value: string; onChange: (value: string) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([name, text]) => (
        <button key={name} type="button" aria-pressed={name === value} onClick={() => onChange(name)}>{text}</button>
      ))}
    </div>
  );
}

export function Check({ label, checked, onChange, note, disabled }: {
  label: string; checked: boolean; onChange: (on: boolean) => void; note?: string; disabled?: boolean;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled}
        onChange={(e) => onChange(e.currentTarget.checked)} />
      <span>{label}{note ? <small class="faint"> {note}</small> : null}</span>
    </label>
  );
}
