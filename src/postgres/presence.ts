/**
 * Whether PostgreSQL answers, found out beside the calls. A server that is gone refuses
 * connections, and every call fails by itself; but one that hangs (a frozen machine, a
 * network that swallows packets) would let every call wait for its whole timeout. So
 * one connection asks for nothing again and again: when that goes unanswered, all that
 * is under way is broken off, and new calls are refused until it is answered again.
 */
import { unavailable } from "../errors.ts";
import type { PgClient } from "./lane.ts";
import { createPipeline, type Statement } from "./pipeline.ts";

/** How often PostgreSQL is asked, milliseconds. */
const beatMs = 1_000;
const beatMsWhileAway = 200;
const heartbeat: Statement = { name: "heartbeat", text: "select 1" };

export interface PresenceOptions {
  /** Makes a client of pg that is not connected. */
  createClient: () => PgClient;
  /** After how long without an answer PostgreSQL counts as away, milliseconds. */
  timeoutMs: number;
  /** Breaks off whatever is under way. */
  onAway(): void;
}

/** What is known of PostgreSQL's presence. */
export interface Presence {
  /** UNAVAILABLE while PostgreSQL is away. */
  refusal(): Error | undefined;
  /** Ends the beat and closes its connection. */
  close(): Promise<void>;
}

/** Asks from the first call on; a program that never calls is not kept running by it. */
export function watchPresence({ createClient, timeoutMs, onAway }: PresenceOptions): Presence {
  const pipeline = createPipeline({ createClient, lanes: 1, limit: 1, timeoutMs });
  let timer: NodeJS.Timeout | undefined;
  let started = false;
  let closed = false;
  let away = false;

  async function ask(): Promise<void> {
    const askedAt = performance.now();
    try {
      await pipeline.query(heartbeat, []);
    } catch (error) {
      // One connection that was cut says nothing yet; silence does.
      if (away || closed || performance.now() - askedAt > timeoutMs / 2) throw error;
      await pipeline.query(heartbeat, []);
    }
  }
  async function beat(): Promise<void> {
    try {
      await ask();
      away = false;
    } catch {
      if (!away && !closed) onAway();
      away = true;
    }
    if (!closed) timer = setTimeout(() => void beat(), away ? beatMsWhileAway : beatMs).unref();
  }

  return {
    refusal() {
      if (!started) {
        started = true;
        void beat();
      }
      if (!away) return undefined;
      return unavailable("DATABASE_UNAVAILABLE", "the database does not answer");
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      pipeline.giveUp();
      await pipeline.close();
    },
  };
}
