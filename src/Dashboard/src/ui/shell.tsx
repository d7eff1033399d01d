/** The frame of all screens: navigation, path, search, theme, and the key that is signed in. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BASE, link, usePlace } from "../lib/router";
import { visible } from "../lib/screens";
import { useRights } from "../lib/session";
import { toggle, useDark } from "../lib/theme";
import { Toasts } from "./dialog";
import { nameOf, Palette } from "./palette";
import { Icon } from "./parts";

export function Shell({ children, onSignOut }: { children: ComponentChildren; onSignOut: () => void }) {
  const [searching, setSearching] = useState(false);
  const [menu, setMenu] = useState(false);
  const place = usePlace();
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") {
        e.preventDefault();
        setSearching(true);
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const path = place.parts.join("/");
  const [said, say] = useState("");
  useEffect(() => {
    setMenu(false);
    const title = [...place.parts.slice(1).reverse(), nameOf(place.parts[0])].join(" · ");
    document.title = `${title} · Sluice`;
    // No page is loaded, so readers of the screen get no title of their own.
    say(title);
  }, [path]);
  return (
    <div class="app">
      <a class="skip" href="#content" onClick={(e) => {
        e.preventDefault();
        document.getElementById("content")?.focus();
      }}>Skip to the content</a>
      <button type="button" class={`scrim ${menu ? "open" : ""}`} aria-label="Close the menu" tabIndex={menu ? 0 : -1}
        onClick={() => setMenu(false)} />
      <SideBar open={menu} onSignOut={onSignOut} />
      <div class="main">
        <div class="top">
          <button type="button" class="icon-button menu-button" aria-label="Menu" onClick={() => setMenu(true)}>
            <Icon name="menu" />
          </button>
          <Crumbs parts={place.parts} />
          <button type="button" class="search-button" aria-label="Search" onClick={() => setSearching(true)}>
            <Icon name="search" />
            <span>Search</span>
            <kbd>{/Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl"} K</kbd>
          </button>
          <ThemeButton />
        </div>
        <main id="content" class="content" tabIndex={-1}>{children}</main>
      </div>
      {searching ? <Palette onClose={() => setSearching(false)} /> : null}
      <Toasts />
      <div class="sr" role="status">{said}</div>
    </div>
  );
}

function SideBar({ open, onSignOut }: { open: boolean; onSignOut: () => void }) {
  const rights = useRights();
  const { parts } = usePlace();
  const screens = visible(rights);
  const groups = [...new Set(screens.map((s) => s.group))];
  return (
    <nav class={`side-bar ${open ? "open" : ""}`} aria-label="Screens">
      <a class="brand" href={`${BASE}/`}><Logo />Sluice</a>
      {groups.map((group) => (
        <div key={group} role="group" aria-label={group || "Start"}>
          {group ? <div class="nav-title">{group}</div> : null}
          {screens.filter((s) => s.group === group).map((s) => (
            <a key={s.name} class="nav-link" href={link(s.parts)}
              aria-current={(s.parts[0] ?? "") === (parts[0] ?? "") ? "page" : undefined}>
              <Icon name={s.icon} />{s.name}
            </a>
          ))}
        </div>
      ))}
      <div class="nav-foot">
        <div class="clip faint" title={rights.key.id}>
          {rights.key.name || "Key"} {rights.key.last4 ? `…${rights.key.last4}` : ""}
        </div>
        <button type="button" class="button small" onClick={onSignOut}><Icon name="out" size={13} />Sign out</button>
      </div>
    </nav>
  );
}

function Crumbs({ parts }: { parts: string[] }) {
  const shown = parts.length === 0 ? [""] : parts;
  return (
    <nav class="crumbs" aria-label="Path">
      {shown.map((part, i) => {
        const text = i === 0 ? nameOf(part) : part;
        const last = i === shown.length - 1;
        return (
          <span key={i} class="row clip">
            {i > 0 ? <span aria-hidden="true">/</span> : null}
            {last ? <span class="clip" aria-current="page">{text}</span>
              : <a class="clip" href={link(parts.slice(0, i + 1))}>{text}</a>}
          </span>
        );
      })}
    </nav>
  );
}

function ThemeButton() {
  const dark = useDark();
  return (
    <button type="button" class="icon-button" aria-label={dark ? "Use light colours" : "Use dark colours"}
      onClick={toggle}>
      <Icon name={dark ? "sun" : "moon"} />
    </button>
  );
}

export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0b6b7a" />
      <path d="M9 7v18M23 7v18" stroke="#fff" stroke-width="3" stroke-linecap="round" />
      <path d="M9 13h14" stroke="#fff" stroke-width="3" />
      <path d="M12 20c1.4-1.6 2.6-1.6 4 0s2.6 1.6 4 0" stroke="#8fe3ee" stroke-width="2.4" fill="none"
        stroke-linecap="round" />
    </svg>
  );
}
