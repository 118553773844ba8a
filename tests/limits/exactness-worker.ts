/** A process that hammers one bucket: `node exactness-worker.ts <redis url> <calls>`; prints how many were admitted. */
import { createBuckets } from "../../src/limits/buckets.ts";
import { createRedis } from "../../src/redis/redis.ts";
import { hammeredPlan } from "./support/plans.ts";

const [url = "", calls = ""] = process.argv.slice(2);
const redis = createRedis({ address: { kind: "standalone", url } });
// A loaded machine must not make it decide alone: that is another promise.
const buckets = createBuckets({ redis, patienceMs: 20_000 });
await buckets.start();
process.stdout.write("ready\n");
await new Promise((resolve) => process.stdin.once("data", resolve));

let admitted = 0;
let alone = 0;
async function hammer(): Promise<void> {
  for (let call = 0; call < Number(calls) / 20; call++) {
    const taken = await buckets.take({ plan: hammeredPlan, tokens: 0 });
    if (taken.outcome === "admitted") admitted += 1;
    if (!taken.isShared) alone += 1;
  }
}
await Promise.all(Array.from({ length: 20 }, hammer));
await buckets.close();
await redis.close();
process.stdout.write(`${JSON.stringify({ admitted, alone })}\n`);
process.stdin.destroy();
