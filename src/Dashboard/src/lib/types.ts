/** The bodies of the gateway's API that the screens read. Times are ISO 8601 texts. */

export interface Scope {
  admin: boolean;
  read: boolean;
  metrics: boolean;
  invoke: string[];
  pods?: string[];
}

export interface Limits {
  requestsPerMinute: number;
  burst: number;
  tokensPerMinute: number;
  concurrent: number;
  queued: number;
  jobBytes: number;
  weight: number;
}

export interface Key {
  id: string;
  name: string;
  last4: string | null;
  scope: Scope;
  tags: Record<string, string>;
  createdAt: string | null;
  expiresAt: string | null;
  lastUsedAt?: string | null;
  limits: Limits;
}

export interface Session {
  key: Key;
  expiresAt: string;
}

export interface Overview {
  at: string;
  version: string;
  gateways: number;
  workers: Record<string, number>;
  gpus: { total: number; used: number };
  queued: number;
  running: number;
  requestsPerSecond: number;
  errorsPerSecond: number;
  tokensPerSecond: number;
  p50Ms: number | null;
  p95Ms: number | null;
  /** null: there are no prices. */
  costPerHour: number | null;
  currency: string;
  unpricedWorkers: number;
  pods: { running: number; costPerHour: number | null; unpriced: number };
  endpoints: OverviewEndpoint[];
}

export interface OverviewEndpoint {
  id: string;
  template: string;
  public: boolean;
  workers: Record<string, number>;
  queued: number;
  running: number;
  requestsPerSecond: number;
  errorsPerSecond: number;
  p95Ms: number | null;
  costPerHour: number | null;
  blocked: string | null;
}

export type Points = (number | null)[];

export interface Series {
  stepSeconds: number;
  times: number[];
  [name: string]: Points | number | number[];
}

export interface Rollout {
  outdated: number;
  starting: number;
  ready: number;
  failures: number;
  reason: string | null;
  nextTry: string | null;
}

export interface Endpoint {
  id: string;
  template: string;
  public: boolean;
  models: string[];
  servedModels: string[];
  origin: "manifest" | "api";
  canary?: { of: string; weight: number };
  scaling: Record<string, unknown> & { min: number; max: number; scaler: string; pause: string };
  status: {
    workers: Record<string, number>;
    queued: number;
    running: number;
    completed: number;
    blocked: string | null;
    failedStarts: { failures: number; reason: string; nextTry: string | null } | null;
    rollout: Rollout | null;
    noCapacity?: { workers: number; never: boolean; part: string; detail: string } | null;
  };
  [field: string]: unknown;
}

export interface Stage {
  name: string;
  ms: number;
}

export interface Worker {
  id: string;
  state: string;
  reason: string;
  host: string;
  processId: number | null;
  runsAs: string;
  devices: string[];
  /** Empty: the worker did not say which devices it sees. */
  reportedDevices: { uuid: string; name: string; mig?: string }[];
  shareMiB: number | null;
  startedAt: string;
  readyAt: string | null;
  stages: Stage[];
  slots: { capacity: number; free: number; leased: number; draining: boolean; tokens?: number } | null;
  lastOutput: string[];
  outdated: boolean;
  download?: { source: string; file: string | null; bytes: number; totalBytes: number | null } | null;
}

export interface Decision {
  at: string;
  scaler: string;
  current: number;
  desired: number;
  start: number;
  drain: number;
  resume: number;
  decidedBy: string;
  because: string;
  inputs: Record<string, unknown>;
  steps: { name: string; workers: number; why: string }[];
}

export interface WorkerList {
  workers: Worker[];
  queued: number;
  oldestWaitMs: number;
  blocked: { reason: string; retryAt: string } | null;
  noCapacity: { reason: string; wouldFit: string } | null;
  rollout: Rollout | null;
}

export interface Job {
  id: string;
  status: string;
  delayTime?: number;
  executionTime?: number;
  output?: unknown;
  error?: string;
  errorInfo?: { code: string; message: string; retryable: boolean };
  workerId?: string;
  retries: number;
  provider?: string;
  expired?: boolean;
  timings: {
    submittedAt: string;
    startedAt?: string;
    endedAt?: string;
    queueMs?: number;
    coldMs?: number;
    executionMs?: number;
    totalMs?: number;
  };
  coldStart?: Record<string, number>;
  attempts?: { attempt: number; worker: string; startedAt: string; endedAt: string; reason: string }[];
  queue?: { position: number; reason: string; detail?: string; etaMs?: number };
}

export interface JobPage {
  requests: Job[];
  offset: number;
  limit: number;
  hasMore: boolean;
  next?: number;
}

export interface JobHealth {
  jobs: {
    completed: number; failed: number; inProgress: number; inQueue: number; retried: number; cancelled: number;
    timedOut: number;
  };
  workers: Record<string, number>;
}

export interface LogLine {
  id: string;
  at: string;
  text: string;
  /** `system`: the gateway wrote it. */
  source: "worker" | "system";
}

export interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
}

export interface Metadata {
  name: string;
  versions?: string[];
  platform: string;
  inputs: Tensor[];
  outputs: Tensor[];
}

export interface Pod {
  id: string;
  status: string;
  reason: string;
  actions: string[];
  spec: Record<string, unknown> & { name?: string; template?: string; image?: string };
  owner: string;
  node: string | null;
  devices: string[];
  ports: { port: number; kind: "http" | "tcp"; url: string | null; public: number | null }[];
  createdAt: string;
  startedAt: string | null;
  lastActiveAt: string | null;
  idleStopAt: string | null;
  stopAt: string | null;
  terminateAt: string | null;
  /** Null: there is no price for it. */
  costPerHour: number | null;
  currency: string | null;
  /** Null: it does not run, or its host has no source. */
  utilization: PodUtilization | null;
  locked: boolean;
}

/** What a running pod uses. Unknown values are null. */
export interface PodUtilization {
  at: string;
  cpus: number | null;
  cpuLimit: number | null;
  cpuPercent: number | null;
  memory: number | null;
  memoryLimit: number | null;
  memoryPercent: number | null;
  gpus: { percent: number; memoryPercent: number | null }[] | null;
}

export interface Delivery {
  id: string;
  job: string;
  url: string;
  jobStatus: string;
  state: string;
  tries: number;
  made: string;
  next: string | null;
  log: { at: string; note: string }[];
}

export interface AuditEntry {
  id: string;
  at: string;
  actor: string;
  actorName: string;
  from: string;
  requestId: string | null;
  action: string;
  target: string;
  isUncertain: boolean;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export interface Refusal {
  id: string;
  at: string;
  from: string;
  reason: string;
  key: string;
  action: string;
  count: number;
}

export interface Gpu {
  index: number;
  uuid: string;
  name: string;
  model: string | null;
  node: string;
  memoryMiB: number;
  usedMiB: number | null;
  freeMiB: number;
  computeCapability: string;
  precisions: string[];
  driver: string | null;
  fault: string | null;
  mig: { uuid: string; profile: unknown; user: { worker: string; endpoint: string } | null }[] | null;
  users: { worker: string; endpoint: string; shareMiB: number | null }[];
}

export interface GpuList {
  host: string;
  source: string;
  readAt: string;
  error: string | null;
  gpus: Gpu[];
  links: { node: string; a: number; b: number; way: string }[];
  waiting: { endpointId: string; workers: number; since: string; never: boolean; reason: string; wouldFit: string }[];
}
