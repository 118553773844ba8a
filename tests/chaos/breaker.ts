/** Breaks things as a plan says, and mends them. */
import { setTimeout as delay } from "node:timers/promises";
import type { TestRedis } from "../support/redis.ts";
import type { Fault } from "./plan.ts";
import type { DrillPostgres } from "./postgres-server.ts";
import type { DrillService } from "./service.ts";

/** What can be broken. */
export interface Machines {
  postgres: DrillPostgres;
  redis: TestRedis;
  /** Empties it, as one without persistence is after its start. */
  forgetRedis(): Promise<void>;
  services: readonly [DrillService, DrillService];
}

/** Breaks and mends; faults of one machine wait for each other. */
export function createBreaker(machines: Machines) {
  const queues = new Map<string, Promise<void>>();

  async function breakFor(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "kill_service":
      case "stop_service": {
        const service = machines.services[fault.service];
        await service.end(fault.kind === "kill_service" ? "SIGKILL" : "SIGTERM");
        await delay(fault.forMs);
        service.start();
        return;
      }
      case "kill_redis":
        machines.redis.kill("SIGKILL");
        await delay(fault.forMs);
        await machines.redis.start();
        if (fault.forgets) await machines.forgetRedis();
        return;
      case "freeze_redis":
        machines.redis.kill("SIGSTOP");
        await delay(fault.forMs);
        machines.redis.kill("SIGCONT");
        return;
      case "restart_postgres":
        await machines.postgres.end(fault.crashes);
        await delay(fault.forMs);
        await machines.postgres.start();
        return;
      case "freeze_postgres":
        machines.postgres.freeze();
        await delay(fault.forMs);
        machines.postgres.thaw();
    }
  }

  return {
    break(fault: Fault): void {
      const machine =
        "service" in fault ? `service ${fault.service}` : (fault.kind.split("_")[1] ?? "");
      const before = queues.get(machine) ?? Promise.resolve();
      queues.set(
        machine,
        before.then(() => breakFor(fault)),
      );
    },
    /** Waits until all is mended; rejects when something could not be. */
    mended: () => Promise.all(queues.values()),
  };
}
