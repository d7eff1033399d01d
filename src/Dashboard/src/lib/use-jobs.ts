import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError } from "./api";
import { list, type Row } from "./jobs";

export interface JobRows {
  rows: Row[] | null;
  error: ApiError | null;
  reload: () => Promise<void>;
}

/** The newest jobs of the endpoints, read again every few seconds (more for many endpoints) while visible. */
export function useJobs(endpoints: string[], status: string, limit: number, dead = false): JobRows {
  const [state, set] = useState<{ of: string; rows: Row[] | null; error: ApiError | null }>(
    { of: "", rows: null, error: null });
  const of = JSON.stringify([endpoints, status, limit, dead]);
  const reload = useCallback(async () => {
    if (endpoints.length === 0) return;
    try {
      const rows = await list(endpoints, status, limit, dead);
      set({ of, rows, error: null });
    } catch (e) {
      set((old) => ({ of, rows: old.of === of ? old.rows : null, error: e as ApiError }));
    }
  }, [of]);
  useEffect(() => {
    void reload();
    const timer = setInterval(() => {
      if (!document.hidden) void reload();
    }, Math.max(3000, 300 * endpoints.length));
    return () => clearInterval(timer);
  }, [reload]);
  return state.of === of ? { ...state, reload } : { rows: null, error: null, reload };
}
