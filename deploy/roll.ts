/**
 * Replaces the instances of docker-compose.yml one by one, without losing a call: a new one is
 * started and becomes healthy, nginx sends nothing more to an old one, the old one lets what runs
 * finish and ends. `node deploy/roll.ts`, after `docker compose build` or a new TRIBE_IMAGE.
 */
import { execFile } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const execute = promisify(execFile);

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execute("docker", args);
  return stdout.trim();
}

/** What reached an old instance just before the reload was over gets so far that it is served there. */
const settleMs = 5000;
/** A new instance that is not healthy by then is a failed update. */
const healthyWithinMs = 180_000;
/** Longer than SHUTDOWN_TIMEOUT in docker-compose.yml. */
const stopSeconds = 90;

/** Replaces all instances. The first one that does not become healthy ends it, with the old ones untouched. */
export async function roll(say: (line: string) => void): Promise<void> {
  const before = await instances();
  if (before.length === 0) throw new Error("no instance runs: docker compose up first");
  for (const old of before) {
    const known = new Set(await instances());
    const scale = `app=${before.length + 1}`;
    await docker(
      "compose",
      "up",
      "--detach",
      "--no-deps",
      "--no-recreate",
      "--scale",
      scale,
      "app",
    );
    for (const fresh of await instances()) {
      if (known.has(fresh)) continue;
      await untilHealthy(fresh);
      say(`${short(fresh)} is healthy`);
    }
    await reload(await addressOf(old));
    await setTimeout(settleMs);
    say(`${short(old)} gets nothing more: letting it finish`);
    await docker("stop", "--time", String(stopSeconds), old);
    await docker("rm", old);
    say(`${short(old)} has ended`);
  }
  await reload("");
}

async function instances(): Promise<string[]> {
  const lines = await docker("compose", "ps", "--quiet", "app");
  return lines.split("\n").filter((line) => line !== "");
}

async function untilHealthy(container: string): Promise<void> {
  const end = Date.now() + healthyWithinMs;
  for (;;) {
    const status = await docker("inspect", "--format", "{{.State.Health.Status}}", container);
    if (status === "healthy") return;
    if (Date.now() > end) {
      await docker("rm", "--force", container);
      throw new Error(`${short(container)} is ${status}, and was removed: the old instances go on`);
    }
    await setTimeout(500);
  }
}

/** All addresses of a container, for EDGE_WITHOUT. */
function addressOf(container: string): Promise<string> {
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
  return docker("inspect", "--format", format, container);
}

async function reload(without: string): Promise<void> {
  const environment = `EDGE_WITHOUT=${without}`;
  await docker("compose", "exec", "-T", "-e", environment, "nginx", "/opt/edge/reload.sh");
}

function short(container: string): string {
  return container.slice(0, 12);
}

if (import.meta.main) await roll((line) => process.stdout.write(`${line}\n`));
