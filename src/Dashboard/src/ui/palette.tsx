/** Search with the keyboard (Ctrl-K or Cmd-K) over screens, endpoints, pods and keys. */
import { useState } from "preact/hooks";
import { useGet } from "../lib/live";
import { link, navigate } from "../lib/router";
import { SCREENS, visible } from "../lib/screens";
import { search } from "../lib/search";
import { useEndpointIds, useRights } from "../lib/session";
import type { Key, Pod } from "../lib/types";
import { Dialog } from "./dialog";
import { Icon } from "./parts";

interface Item {
  text: string;
  kind: string;
  icon: string;
  url: string;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const items = useItems();
  const found = search(items, query, (i) => i.text, 30);
  const index = Math.min(at, found.length - 1);
  const open = (item: Item | undefined) => {
    if (!item) return;
    onClose();
    navigate(item.url);
  };
  const onKey = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) {
      e.preventDefault();
      setAt((index + step + found.length) % Math.max(1, found.length));
    }
    if (e.key === "Enter") open(found[index]);
  };
  return (
    <Dialog title="Search" onClose={onClose} class="palette">
      <input class="input" data-first role="combobox" aria-expanded="true" aria-controls="found" aria-label="Search"
        aria-activedescendant={found[index] ? `found-${index}` : undefined} value={query} autoComplete="off"
        placeholder="Search endpoints, pods, keys and screens" onKeyDown={onKey}
        onInput={(e) => {
          setQuery(e.currentTarget.value);
          setAt(0);
        }} />
      <ul id="found" role="listbox" aria-label="Results">
        {found.map((item, i) => (
          <li key={item.url + item.kind} id={`found-${i}`} role="option" aria-selected={i === index}
            onMouseMove={() => setAt(i)} onClick={() => open(item)}>
            <Icon name={item.icon} />
            <span class="clip">{item.text}</span>
            <small>{item.kind}</small>
          </li>
        ))}
        {found.length === 0 ? <li role="option" aria-selected="false" class="faint">Nothing matches</li> : null}
      </ul>
    </Dialog>
  );
}

function useItems(): Item[] {
  const rights = useRights();
  const endpoints = useEndpointIds();
  const pods = useGet<{ pods: Pod[] }>("/api/v1/pods");
  const keys = useGet<{ keys: Key[] }>(rights.read ? "/api/v1/keys" : null);
  return [
    ...visible(rights).map((s) => ({ text: s.name, kind: "Screen", icon: s.icon, url: link(s.parts) })),
    ...endpoints.flatMap((id) => [
      { text: id, kind: "Endpoint", icon: "endpoint", url: link(rights.read ? ["endpoints", id] : ["jobs"]) },
      { text: `${id} playground`, kind: "Playground", icon: "chat", url: link(["playground", id]) },
      { text: `${id} jobs`, kind: "Jobs", icon: "job", url: link(["jobs"], { endpoint: id }) },
    ]),
    ...(pods.data?.pods ?? []).map((p) => ({
      text: p.spec.name ?? p.id, kind: `Pod ${p.id}`, icon: "pod", url: link(["pods", p.id]),
    })),
    ...(keys.data?.keys ?? []).map((k) => ({
      text: k.name || k.id, kind: `Key …${k.last4 ?? ""}`, icon: "key", url: link(["keys", k.id]),
    })),
  ];
}

/** The name of a screen by the first part of its path. */
export const nameOf = (part: string | undefined) =>
  SCREENS.find((s) => (s.parts[0] ?? "") === (part ?? ""))?.name ?? part ?? "";
