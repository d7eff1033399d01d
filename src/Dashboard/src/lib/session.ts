/** The session of the person, and what its key may do. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { useGet } from "./live";
import type { Endpoint, Key, Session } from "./types";

export const SessionContext = createContext<Session | null>(null);

export interface Rights {
  key: Key;
  read: boolean;
  admin: boolean;
}

export function useRights(): Rights {
  const { key } = useContext(SessionContext)!;
  return { key, admin: key.scope.admin, read: key.scope.admin || key.scope.read };
}

/** The ids of the endpoints that the key may use or see. */
export function useEndpointIds(): string[] {
  const { key, read } = useRights();
  const all = useGet<{ endpoints: Endpoint[] }>(read ? "/api/v1/endpoints" : null, 15_000);
  const models = useGet<{ data: { id: string }[] }>(!read && key.scope.invoke.includes("*") ? "/v1/models" : null);
  if (read) return all.data?.endpoints.map((e) => e.id) ?? [];
  return [...new Set([...key.scope.invoke.filter((i) => i !== "*"), ...(models.data?.data.map((m) => m.id) ?? [])])];
}
