/** A log that follows its end, until the reader scrolls up; with a search. */
import { useEffect, useRef, useState } from "preact/hooks";
import { absolute, clock } from "../lib/format";
import { useParam } from "../lib/router";
import { Check, Marked, State } from "./parts";

export interface Line {
  id: string;
  at: string;
  text: string;
  source?: string;
}

/** Lines that are kept and shown at most. */
export const MAX_LINES = 5000;

const toneOf = (text: string) =>
  /\b(error|fatal|fail(ed)?|exception|critical)\b/i.test(text) ? "bad" : /\bwarn(ing)?\b/i.test(text) ? "warn" : "";

export function Log({ lines, state, label, ended }:
  { lines: Line[]; state: "waiting" | "open" | "ended"; label: string; ended?: string }) {
  const [find, setFind] = useParam("log");
  const [follow, setFollow] = useState(true);
  const [only, setOnly] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const needle = find.trim().toLowerCase();
  const hits = needle ? lines.filter((l) => l.text.toLowerCase().includes(needle)) : lines;
  const shown = needle && !only ? lines : hits;
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length, follow, lines.at(-1)?.id]);
  const onScroll = () => {
    const b = box.current!;
    const atEnd = b.scrollHeight - b.scrollTop - b.clientHeight < 24;
    if (atEnd !== follow) setFollow(atEnd);
  };
  const save = () => {
    const blob = new Blob([lines.map((l) => `${l.at} ${l.text}\n`).join("")], { type: "text/plain" });
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(blob);
    anchor.download = "log.txt";
    anchor.click();
    URL.revokeObjectURL(anchor.href);
  };
  return (
    <section class="card" aria-label={label}>
      <div class="card-head">
        <h2>{label}</h2>
        <State name={state} text={{ open: "following", waiting: "connecting", ended: ended ?? "ended" }[state]} />
        <div class="actions">
          <input class="input log-search" type="search" placeholder="Find in the log" aria-label="Search the log"
            value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          {needle ? <span class="faint nowrap">{hits.length} of {lines.length}</span> : null}
          {needle ? <Check label="only matches" checked={only} onChange={setOnly} /> : null}
          <Check label="Follow" checked={follow} onChange={setFollow} />
          <button type="button" class="button small" onClick={save}>Download</button>
        </div>
      </div>
      <div class="log" ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-label={`Lines of: ${label}`}>
        {shown.map((l) => (
          <div key={l.id} class="line">
            <time dateTime={l.at} title={absolute(l.at)}>{clock(l.at)}</time>
            <span class={`text ${toneOf(l.text)}`}>
              {l.source === "system" ? <b>Sluice: </b> : null}<Marked text={l.text} find={find.trim()} />
            </span>
          </div>
        ))}
        {shown.length === 0 ? (
          <div class="line"><span /><span class="faint">{needle ? "No line matches" : "No lines yet"}</span></div>
        ) : null}
      </div>
    </section>
  );
}
