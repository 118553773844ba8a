import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Socket } from "node:net";

/** A server that runs beside us and that never outlives us. */
export interface SupervisedServer {
  /** Resolves with a description, whyever it ended. Never rejects. */
  readonly ended: Promise<string>;
  /** Asks it to finish, waits for it, and kills it when it takes too long. */
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  command: string;
  args: readonly string[];
  /** The signal that makes the server finish cleanly, without SIG. */
  stopSignal: "INT" | "TERM";
  /** How long it may take to finish. */
  stopTimeoutMs: number;
  /** Its output is appended here. */
  logFile: string;
  environment: NodeJS.ProcessEnv;
  /** Run as somebody else; only root can. */
  user?: { uid: number; gid: number } | undefined;
}

/**
 * The server is tied to a pipe that only we hold: when we end, however we end
 * (`kill -9` included), the watcher reads the pipe's end and stops the server.
 */
const script = `
exec 3<&0 </dev/null
signal=$1; shift
"$@" 3<&- &
server=$!
(read -r _ <&3; kill -s "$signal" "$server") 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
`;

/**
 * Starts a server in a session of its own: Ctrl-C in a terminal reaches us alone,
 * so that we can finish our work before we stop what it needs.
 */
export function supervise(options: SuperviseOptions): SupervisedServer {
  const log = openSync(options.logFile, "a", 0o600);
  const child = spawn(
    "/bin/sh",
    ["-c", script, "tribe", options.stopSignal, options.command, ...options.args],
    {
      cwd: "/",
      detached: true,
      env: options.environment,
      stdio: ["pipe", log, log],
      ...options.user,
    },
  );
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("exit", (status, signal) =>
      resolve(signal === null ? `ended with status ${status}` : `was ended by ${signal}`),
    );
  });
  const lifeline = child.stdin as Socket;
  lifeline.on("error", () => {}); // It ended before we let go of the pipe: `ended` tells.
  // A process that forgets to stop its servers ends all the same, and they with it.
  child.unref();
  lifeline.unref();

  return {
    ended,
    async stop() {
      child.ref();
      lifeline.end();
      const timer = setTimeout(() => {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      }, options.stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
