/** The screens of the navigation and of the search. */

export interface Screen {
  parts: string[];
  name: string;
  icon: string;
  group: string;
  /** What the key needs: any key, one that may read, or one with the scope admin. */
  needs: "any" | "read" | "admin";
}

const s = (part: string, name: string, icon: string, group: string, needs: Screen["needs"] = "read"): Screen =>
  ({ parts: part ? [part] : [], name, icon, group, needs });

export const SCREENS: Screen[] = [
  s("", "Overview", "overview", "", "any"),
  s("endpoints", "Endpoints", "endpoint", "Serve"),
  s("jobs", "Jobs", "job", "Serve", "any"),
  s("playground", "Playground", "chat", "Serve", "any"),
  s("models", "Models", "model", "Serve"),
  s("pods", "Pods", "pod", "Machines", "any"),
  s("gpus", "GPUs and hosts", "gpu", "Machines"),
  s("keys", "Keys", "key", "Access"),
  s("usage", "Usage", "usage", "Access"),
  s("webhooks", "Webhooks", "webhook", "Operations"),
  s("dead-letters", "Dead letters", "dead", "Operations", "any"),
  s("audit", "Audit log", "audit", "Operations"),
];

export const visible = (rights: { read: boolean; admin: boolean }) =>
  SCREENS.filter((x) => x.needs === "any" || (x.needs === "read" ? rights.read : rights.admin));
