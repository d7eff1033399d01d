import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { ApiError, call, get, onSessionEnd } from "./lib/api";
import { forget } from "./lib/live";
import { usePlace } from "./lib/router";
import { SessionContext } from "./lib/session";
import type { Session } from "./lib/types";
import { AuditScreen } from "./screens/audit";
import { DeadLetters } from "./screens/dead-letters";
import { EndpointScreen } from "./screens/endpoint";
import { Endpoints } from "./screens/endpoints";
import { Gpus } from "./screens/gpus";
import { JobScreen } from "./screens/job";
import { Jobs } from "./screens/jobs";
import { Keys } from "./screens/keys";
import { Models } from "./screens/models";
import { OverviewScreen } from "./screens/overview";
import { Playground } from "./screens/playground";
import { PodScreen } from "./screens/pod";
import { Pods } from "./screens/pods";
import { SignIn } from "./screens/sign-in";
import { Usage } from "./screens/usage";
import { Webhooks } from "./screens/webhooks";
import { WorkerScreen } from "./screens/worker";
import { Banner, Empty } from "./ui/parts";
import { Shell } from "./ui/shell";

type State = { at: "start" | "out" | "ended" } | { at: "in"; session: Session } | { at: "failed"; text: string };

export function App() {
  const [state, set] = useState<State>({ at: "start" });
  const find = () => get<Session>("/api/v1/session").then((session) => set({ at: "in", session }), (e: ApiError) =>
    set(e.status === 401 ? { at: "out" } : { at: "failed", text: e.message }));
  useEffect(() => void find(), []);
  useEffect(() => onSessionEnd(() => {
    forget();
    set((old) => (old.at === "in" ? { at: "ended" } : old));
  }), []);
  if (state.at === "start") return null;
  if (state.at === "failed") {
    return (
      <main class="sign-in">
        <div class="stack">
          <Banner tone="bad">{state.text}</Banner>
          <button type="button" class="button" onClick={find}>Try again</button>
        </div>
      </main>
    );
  }
  if (state.at !== "in") {
    return <SignIn ended={state.at === "ended"} onSession={(session) => set({ at: "in", session })} />;
  }
  const signOut = async () => {
    await call("DELETE", "/api/v1/session").catch(() => null);
    forget();
    set({ at: "out" });
  };
  return (
    <SessionContext.Provider value={state.session}>
      <Shell onSignOut={signOut}><Guarded /></Shell>
    </SessionContext.Provider>
  );
}

const SCREENS: Record<string, ComponentType<{ parts: string[] }>> = {
  "": OverviewScreen, endpoints: Endpoints, jobs: Jobs, playground: Playground, models: Models, pods: Pods, gpus: Gpus,
  keys: Keys, usage: Usage, webhooks: Webhooks, "dead-letters": DeadLetters, audit: AuditScreen,
};

/** An error of one screen is shown in its place; the navigation stays. */
function Guarded() {
  const { parts } = usePlace();
  const path = parts.join("/");
  const [error, reset] = useErrorBoundary();
  useEffect(() => {
    if (error) reset();
  }, [path]);
  if (error) {
    return (
      <Banner tone="bad">
        This screen failed: {String((error as Error).message ?? error)} <button type="button" class="link-button"
          onClick={reset}>Show it again</button>
      </Banner>
    );
  }
  const [first, second, third, fourth] = parts;
  if (first === "endpoints" && third === "workers" && fourth) return <WorkerScreen key={path} parts={parts} />;
  if (first === "endpoints" && second) return <EndpointScreen key={second} parts={parts} />;
  if (first === "jobs" && third) return <JobScreen key={path} parts={parts} />;
  if (first === "pods" && second) return <PodScreen key={second} parts={parts} />;
  const Screen = SCREENS[first ?? ""];
  if (!Screen) return <Empty title="This screen does not exist">The navigation lists all screens.</Empty>;
  return <Screen key={first ?? ""} parts={parts} />;
}
