import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { isAlive, processIdentity } from "./process.ts";
import { createPrivateFile } from "./secret.ts";

/** Holds a folder for this process. */
export interface Lock {
  /** Tells whoever finds the folder taken where we answer, for example `http://127.0.0.1:8080`. */
  announce(address: string): void;
  release(): void;
}

/** Another Tribe runs on this folder. The message says which, and what to do. */
export class AlreadyRunningError extends Error {
  override readonly name = "AlreadyRunningError";
}

interface Holder {
  pid: number;
  identity: string | undefined;
  address?: string;
}

/**
 * Takes the folder, or says who has it. What a killed process left behind does not
 * count, even if its process id belongs to somebody else by now.
 * @throws AlreadyRunningError
 */
export function takeLock(directory: string): Lock {
  const path = join(directory, "lock");
  const self: Holder = { pid: process.pid, identity: processIdentity(process.pid) };
  for (let attempt = 0; attempt < 10; attempt += 1) {
    try {
      createPrivateFile(path, JSON.stringify(self));
      return heldLock(path, self);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = readHolder(path);
    if (holder !== undefined && isRunning(holder)) throw alreadyRunning(directory, holder);
    removeStale(path);
  }
  throw new AlreadyRunningError(`Others are starting Tribe on ${directory} at this moment.`);
}

function heldLock(path: string, self: Holder): Lock {
  return {
    announce(address) {
      const draft = `${path}.${process.pid}`;
      writeFileSync(draft, JSON.stringify({ ...self, address }), { mode: 0o600 });
      renameSync(draft, path);
    },
    release() {
      if (readHolder(path)?.pid === self.pid) rmSync(path, { force: true });
    },
  };
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

function isRunning(holder: Holder): boolean {
  if (!isAlive(holder.pid)) return false;
  const identity = processIdentity(holder.pid);
  if (identity === undefined || holder.identity === undefined) return holder.pid !== process.pid;
  return identity === holder.identity;
}

/**
 * Moves the stale lock aside and looks again: another starter may have replaced it
 * between our look and our hand, and then it gets its lock back.
 */
function removeStale(path: string): void {
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const holder = readHolder(aside);
  if (holder !== undefined && isRunning(holder)) renameSync(aside, path);
  else rmSync(aside, { force: true });
}

function alreadyRunning(directory: string, holder: Holder): AlreadyRunningError {
  const where = relative(process.cwd(), directory) || ".";
  const address = holder.address === undefined ? "" : `, ${holder.address}`;
  return new AlreadyRunningError(
    `Tribe already runs here (process ${holder.pid}${address}) and keeps its data in ${where}.\n` +
      `Stop it first, or run a second one with other ports and a folder of its own:\n` +
      `  TRIBE_DIR=.tribe-2 HTTP_PORT=8081 GRPC_PORT=9091 METRICS_PORT=9465 npm start`,
  );
}
