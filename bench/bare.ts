/** The floor: the least that a Node program can do for a turn, on conversations that Tribe made. */
import { join } from "node:path";
import { freePort, startService, stop } from "./processes.ts";
import type { Subject } from "./subject.ts";
import { startTribe } from "./tribe.ts";
import type { SharedOptions } from "./tribes.ts";

/** Has one scenario, REST. */
export async function startBare(shared: SharedOptions): Promise<Subject> {
  const databases = await shared.databases.another();
  const environment = { METRICS_PORT: "off" };
  const tribe = await startTribe({ ...shared, databases, name: "bare-conversations", environment });
  if (tribe.process) await stop(tribe.process);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const process = await startService({
    name: "bare",
    command: [
      join(import.meta.dirname, "bare-server.ts"),
      String(port),
      databases.databaseUrl,
      shared.providerOrigin,
    ],
    environment: {},
    logs: shared.logs,
    readyUrl: origin,
  });
  return {
    name: "bare",
    process,
    target(scenario) {
      const target = scenario === "rest" ? tribe.target(scenario) : undefined;
      return target && { ...target, origin };
    },
  };
}
