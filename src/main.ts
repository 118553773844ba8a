/** Signals and exit codes; everything else is app.ts. */
import { type App, createApp } from "./app.ts";
import { banner } from "./banner.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { createLogger } from "./telemetry/logger.ts";

/** Ctrl-C once means soon, twice hurry, thrice now. */
const exitCodes = { stopped: 0, failed: 1, badConfiguration: 2, forced: 130 };

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function main(): Promise<number> {
  const config = readConfig(process.env);
  const logger = createLogger({ level: config.log.level });
  let app: App | undefined;
  process.once("uncaughtException", (error) => {
    process.on("uncaughtException", () => process.exit(exitCodes.failed));
    logger.fatal({ err: error }, "a bug of Tribe's: uncaught exception");
    logger.flush();
    void endAfter(error);
  });
  async function endAfter(error: unknown): Promise<void> {
    try {
      await app?.reportCrash(error);
    } finally {
      process.exit(exitCodes.failed);
    }
  }
  const stopped = listenToSignals();
  app = await createApp(config, logger, (message) => say(`… ${message}`));
  const isForPeople = process.stderr.isTTY || !listensEverywhere(config);
  try {
    const ports = await app.listen();
    if (isForPeople) say(banner(config, app, ports));
    else logger.info(ports, "Tribe is ready");
    const failure = await Promise.race([stopped.first, app.failed]);
    if (failure !== undefined) say(`Tribe stops: ${failure}`);
    else if (isForPeople) say("Stopping: letting running turns finish. Ctrl-C again stops them.");
    else logger.info("stopping: letting running turns finish");
    return failure === undefined ? exitCodes.stopped : exitCodes.failed;
  } finally {
    await app.close(stopped.second);
    logger.flush();
  }
}

/**
 * A process that listens on every address, in a container mostly, cannot know by which name it is
 * reached, and its output is a log: there it tells its ports in one line, and nothing to paste.
 */
function listensEverywhere({ http }: Config): boolean {
  return http.host === "0.0.0.0" || http.host === "::";
}

/** `first` resolves at the first signal, `second` aborts at the next; the third ends the process. */
function listenToSignals(): { first: Promise<undefined>; second: AbortSignal } {
  const { promise: first, resolve } = Promise.withResolvers<undefined>();
  const hurry = new AbortController();
  let signals = 0;
  const onSignal = () => {
    signals += 1;
    if (signals === 1) resolve(undefined);
    else if (signals === 2) hurry.abort();
    else process.exit(exitCodes.forced);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return { first, second: hurry.signal };
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  // All is closed; nothing that still tries to connect may keep a process that has failed.
  process.exit(error instanceof ConfigError ? exitCodes.badConfiguration : exitCodes.failed);
}
