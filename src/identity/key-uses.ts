import type { Logger } from "../telemetry/logger.ts";

/** What the notes of used keys are made of. */
export interface KeyUsesParts {
  touch(apiKeyIds: readonly string[]): Promise<void>;
  logger: Logger;
}

/** Notes which keys are used, and stores it now and then, for all of them at once. */
export interface KeyUses {
  note(apiKeyId: string): void;
  start(): void;
  /** Stores what is noted. */
  close(): Promise<void>;
}

const intervalMs = 15_000;

/** Collects in memory; a crash loses at most a quarter of a minute of it. */
export function createKeyUses({ touch, logger }: KeyUsesParts): KeyUses {
  let noted = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  async function store(): Promise<void> {
    if (noted.size === 0) return;
    const used = noted;
    noted = new Set();
    try {
      await touch([...used]);
    } catch (error) {
      for (const apiKeyId of used) noted.add(apiKeyId);
      logger.warn({ err: error }, "the use of API keys is noted later");
    }
  }
  return {
    note: (apiKeyId) => void noted.add(apiKeyId),
    start: () => (timer ??= setInterval(() => void store(), intervalMs).unref()),
    async close() {
      clearInterval(timer);
      await store();
    },
  };
}
