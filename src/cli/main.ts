/** The operators' command line: streams and the exit code; everything else is run.ts. */
import { text } from "node:stream/consumers";
import { runCli } from "./run.ts";

// A pipe that closes early, as that of `| head`, ends the program without a trace.
process.stdout.on("error", () => process.exit(0));
process.exitCode = await runCli({
  args: process.argv.slice(2),
  environment: process.env,
  out: process.stdout,
  err: process.stderr,
  readInput: () => text(process.stdin),
});
