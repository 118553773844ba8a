/** Signals and exit codes; everything else is app.ts. */
import { type App, createApp } from "./app.ts";
import { banner } from "./banner.ts";
import { ConfigError, readConfig } from "./config.ts";
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
  try {
    const ports = await app.listen();
    say(banner(config, app, ports));
    const failure = await Promise.race([stopped.first, app.failed]);
    if (failure !== undefined) say(`Tribe stops: ${failure}`);
    else say("Stopping: letting running turns finish. Ctrl-C again stops them.");
    return failure === undefined ? exitCodes.stopped : exitCodes.failed;
  } finally {
    await app.close(stopped.second);
    logger.flush();
  }
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
  if (error instanceof ConfigError) {
    say(error.message);
    process.exitCode = exitCodes.badConfiguration;
  } else {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = exitCodes.failed;
  }
}
