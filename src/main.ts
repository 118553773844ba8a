/** Signals and exit codes; everything else is app.ts. */
import { createApp } from "./app.ts";
import { banner } from "./banner.ts";
import { ConfigError, readConfig } from "./config.ts";
import { createLogger } from "./telemetry/logger.ts";

/** Ctrl-C twice means now. */
const exitCodes = { stopped: 0, failed: 1, badConfiguration: 2, forced: 130 };

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function main(): Promise<number> {
  const config = readConfig(process.env);
  const logger = createLogger({ level: config.log.level });
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "a bug of Tribe's: uncaught exception");
    logger.flush();
    process.exit(exitCodes.failed);
  });
  const stopped = firstSignal();
  const app = await createApp(config, logger, (message) => say(`… ${message}`));
  try {
    const ports = await app.listen();
    say(banner(config, app, ports));
    const failure = await Promise.race([stopped, app.failed]);
    if (failure !== undefined) say(`Tribe stops: ${failure}`);
    else say("Stopping: letting running turns finish. Ctrl-C again stops at once.");
    return failure === undefined ? exitCodes.stopped : exitCodes.failed;
  } finally {
    await app.close();
    logger.flush();
  }
}

/** Resolves at the first signal; the second ends the process. */
function firstSignal(): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let signals = 0;
  const onSignal = () => {
    if (++signals > 1) process.exit(exitCodes.forced);
    resolve(undefined);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return promise;
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
