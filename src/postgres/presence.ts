/**
 * Whether PostgreSQL answers, found out beside the calls. A server that is gone refuses
 * connections, and every call fails by itself; but one that hangs (a frozen machine, a
 * network that swallows packets) would let every call wait for its whole timeout. So
 * one connection asks for nothing again and again: when that goes unanswered, all who
 * wait are told, and whoever comes is told at once, until it is answered again.
 */
import { unavailable } from "../errors.ts";
import { createPipeline, type Statement } from "./pipeline.ts";
import type { PgClient } from "./lane.ts";

/** How often PostgreSQL is asked, milliseconds. */
const beatMs = 1_000;
const beatMsWhileAway = 200;
const heartbeat: Statement = { name: "heartbeat", text: "select 1" };

export interface PresenceOptions {
  /** Makes a client of pg that is not connected. */
  createClient: () => PgClient;
  /** After how long without an answer PostgreSQL counts as away, milliseconds. */
  timeoutMs: number;
  /** Told when it is found to be away, for the statements that this module does not know. */
  onAway(): void;
}

/** What is known of PostgreSQL's presence. */
export interface Presence {
  /** UNAVAILABLE while PostgreSQL is away, for statements that `onAway` ends. */
  refusal(): Error | undefined;
  /** Rejects at once while PostgreSQL is away; otherwise as `start` does, or when it is found to be away. */
  guard<Result>(start: () => Promise<Result>): Promise<Result>;
  /** Ends the beat and closes its connection. */
  close(): Promise<void>;
}

/** Asks from the first call on; a program that never calls is not kept running by it. */
export function watchPresence({ createClient, timeoutMs, onAway }: PresenceOptions): Presence {
  const pipeline = createPipeline({ createClient, lanes: 1, limit: 1, timeoutMs });
  const waiting = new Set<(error: Error) => void>();
  let timer: NodeJS.Timeout | undefined;
  let started = false;
  let closed = false;
  let away = false;

  function absence(): Error {
    return unavailable("DATABASE_UNAVAILABLE", "the database does not answer");
  }
  async function ask(): Promise<void> {
    const askedAt = performance.now();
    try {
      await pipeline.query(heartbeat, []);
    } catch (error) {
      // One connection that was cut says nothing yet; silence does.
      if (away || performance.now() - askedAt > timeoutMs / 2) throw error;
      await pipeline.query(heartbeat, []);
    }
  }
  async function beat(): Promise<void> {
    try {
      await ask();
      away = false;
    } catch {
      if (!away && !closed) {
        away = true;
        onAway();
        for (const reject of waiting) reject(absence());
      }
    }
    if (!closed) timer = setTimeout(() => void beat(), away ? beatMsWhileAway : beatMs).unref();
  }

  function refusal(): Error | undefined {
    if (!started) {
      started = true;
      void beat();
    }
    return away ? absence() : undefined;
  }

  return {
    refusal,
    guard(start) {
      const refused = refusal();
      if (refused !== undefined) return Promise.reject(refused);
      return new Promise((resolve, reject) => {
        waiting.add(reject);
        start().then(
          (result) => {
            waiting.delete(reject);
            resolve(result);
          },
          (error: Error) => {
            waiting.delete(reject);
            reject(error);
          },
        );
      });
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await pipeline.close();
    },
  };
}
