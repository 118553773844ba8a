/** Background checks: asked on a beat, answered from memory. */

/** What a check found. */
export interface CheckResult {
  /** Works, or works with less. Default: `ok`. What does not work throws. */
  status?: "ok" | "degraded";
  /** Why no traffic may come, in words for everybody: then it counts as down. */
  notReady?: string;
  /** What an operator should know; never a secret. */
  message?: string;
  /** Numbers that belong to it, for example `pool_waiting`. */
  figures?: Record<string, number>;
}

/** Something that the service depends on. */
export interface HealthCheck {
  /** For example `postgres`, `redis`, `provider:openai`. */
  name: string;
  /** Whether the service cannot work without it. */
  essential: boolean;
  /** Looks; rejects if it does not work. Must give up when the signal aborts. */
  check(signal: AbortSignal): Promise<CheckResult | void>;
}

/** What is known of a deployment from the calls of callers. */
export interface DeploymentFigures {
  readonly provider: string;
  readonly model: string;
  readonly enabled: boolean;
  readonly circuit: "closed" | "half_open" | "open";
  /** Reason of its last failure; empty: there was none. */
  readonly lastError: string;
  readonly lastErrorTime: Date | undefined;
  /** Mean milliseconds to the first content of the last answers. */
  readonly firstContentMs: number | undefined;
  readonly succeeded: number;
  readonly failed: number;
}

/** How a part was when it was last looked at. */
export interface ComponentState {
  readonly name: string;
  readonly essential: boolean;
  /** `unknown` before the first answer. */
  readonly status: "unknown" | "ok" | "degraded" | "down";
  readonly message: string;
  /** Why no traffic may come, if the part said so. */
  readonly notReady?: string | undefined;
  readonly figures: Readonly<Record<string, number>>;
  /** Since when it has this status. */
  readonly since: Date;
  /** How long the last answer took, in milliseconds. */
  readonly latencyMs: number;
  /** Of deployments only. */
  readonly deployment?: DeploymentFigures;
}

export interface ChecksOptions {
  checks: readonly HealthCheck[];
  /** From one look to the next, in milliseconds. */
  intervalMs: number;
  /** A check that takes longer counts as down. */
  timeoutMs: number;
  /** When a status has changed. */
  onChange(): void;
}

export interface Checks {
  /** The parts, the essential ones first. */
  states(): ComponentState[];
  /** Looks at everything once, then on every beat. Resolves after the first look. */
  start(): Promise<void>;
  stop(): void;
}

export function createChecks({ checks, intervalMs, timeoutMs, onChange }: ChecksOptions): Checks {
  const watched = [...checks]
    .sort((a, b) => Number(b.essential) - Number(a.essential))
    .map((check) => createWatch(check, timeoutMs, onChange));
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    await Promise.all(watched.map((watch) => watch.look()));
  }
  return {
    states: () => watched.map((watch) => watch.state()),
    async start() {
      timer ??= setInterval(() => void look(), intervalMs).unref();
      await look();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

interface Watch {
  state(): ComponentState;
  /** Never rejects. */
  look(): Promise<void>;
}

function createWatch(check: HealthCheck, timeoutMs: number, onChange: () => void): Watch {
  const { name, essential } = check;
  let looking = false;
  let state: ComponentState = {
    name,
    essential,
    status: "unknown",
    message: "not checked yet",
    figures: {},
    since: new Date(),
    latencyMs: 0,
  };
  function update(found: Omit<ComponentState, "name" | "essential" | "since">): void {
    const changed = found.status !== state.status;
    state = { name, essential, since: changed ? new Date() : state.since, ...found };
    if (changed) onChange();
  }
  return {
    state: () => state,
    async look() {
      // A check that does not listen to its signal is not asked again until it has answered.
      if (looking) return;
      looking = true;
      const startedAt = performance.now();
      const latencyMs = () => performance.now() - startedAt;
      const pending = check.check(AbortSignal.timeout(timeoutMs)).finally(() => {
        looking = false;
      });
      try {
        const result = (await within(pending, timeoutMs)) ?? {};
        const { notReady, message = "", figures = {} } = result;
        const status = notReady === undefined ? (result.status ?? "ok") : "down";
        update({ status, notReady, message, figures, latencyMs: latencyMs() });
      } catch (reason) {
        const message = reason instanceof Error ? reason.message : String(reason);
        update({ status: "down", message, figures: {}, latencyMs: latencyMs() });
      }
    },
  };
}

function within<T>(pending: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    pending.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
