/**
 * A process that runs the embedded servers as `npm start` does, for tests that kill it:
 * `node server.ts <folder>`. Prints a line of JSON when all is up, `interrupted` on SIGINT,
 * and then ends when its standard input does.
 */
import { keptAdminKey } from "../../src/embedded/admin-key.ts";
import { prepareDirectory } from "../../src/embedded/directory.ts";
import { takeLock } from "../../src/embedded/lock.ts";
import { startEmbeddedPostgres } from "../../src/embedded/postgres.ts";
import { startEmbeddedRedis } from "../../src/embedded/redis.ts";

const directory = process.argv[2] ?? "";
const progress: string[] = [];
const onProgress = (message: string) => void progress.push(message);
const print = (line: string) => process.stdout.write(`${line}\n`);

prepareDirectory(directory);
const lock = takeLock(directory);
const [postgres, redis] = await Promise.all([
  startEmbeddedPostgres({ directory, onProgress }),
  startEmbeddedRedis({ directory, onProgress }),
]);
if (redis === undefined) throw new Error("There is no redis-server");
lock.announce("http://127.0.0.1:8080");

process.on("SIGINT", () => print("interrupted"));
process.stdin.resume().once("end", async () => {
  await Promise.all([postgres.stop(), redis.stop()]);
  lock.release();
  print(await postgres.ended);
});
const adminKey = keptAdminKey(directory);
const { path: redisPath } = redis.address;
print(JSON.stringify({ postgresUrl: postgres.url, redisPath, adminKey, progress }));
