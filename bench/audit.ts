/**
 * What the audit log costs those who change something, `node bench/audit.ts`: changes a second,
 * each in a durable transaction of its own, of 32 at a time, without an event, with one, and with
 * one that each writer would chain itself; and how fast events get their places in the chain.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createAudit } from "../src/audit/audit.ts";
import { extendChain } from "../src/audit/chain.repository.ts";
import { createTrail } from "../src/audit/trail.ts";
import { entities } from "../src/entities.ts";
import { createKeyRing } from "../src/key-ring.ts";
import { migrate } from "../src/postgres/migrator.ts";
import { createPostgres } from "../src/postgres/postgres.ts";
import { createLogger } from "../src/telemetry/logger.ts";
import { startDatabases } from "./databases.ts";

const concurrency = 32;
const seconds = 5;

const directory = join(import.meta.dirname, "results", `audit-${process.pid}`);
mkdirSync(directory, { recursive: true, mode: 0o711 });
const databases = await startDatabases(directory);
const postgres = await createPostgres({
  url: (await databases.another()).databaseUrl,
  entities,
  poolSize: concurrency,
});
await migrate(postgres);
const keyRing = createKeyRing(["a secret of the bench, of 32 bytes"]);
const audit = createAudit({ postgres, keyRing, logger: createLogger({ level: "warn" }) });
const keys = keyRing.derive("audit");

type Manager = Parameters<Parameters<typeof postgres.work>[0]>[0];

/** Changes a second of so many writers at a time. */
async function measure(record: (em: Manager) => Promise<unknown>): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let changes = 0;
  const write = async (writer: number) => {
    while (performance.now() < end) {
      await postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute(
            "insert into settings (name, value) values (?, '1') on conflict (name) do update set version = settings.version + 1",
            [`bench-${writer}`],
          );
          await record(em);
        }),
      );
      changes += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, writer) => write(writer)));
  return Math.round(changes / seconds);
}

const trail = () =>
  createTrail("bench.thing.make", undefined, { resource: "thing/1", address: "192.0.2.7" });
const plain = await measure(async () => {});
const audited = await measure((em) => audit.record(em, trail()));
// Whoever writes an event holds the chain's end until the commit.
const serial = await measure(async (em) => {
  await em.execute("select pg_advisory_xact_lock(1)");
  await audit.record(em, trail());
});
await audit.close();
await audit.verify();

for (let batch = 0; batch < 20; batch += 1) {
  await postgres.work((em) =>
    em.transactional(async (em) => {
      for (let count = 0; count < 250; count += 1) await audit.record(em, trail());
    }),
  );
}
const start = performance.now();
let linked = 0;
for (let count = 1; count > 0; linked += count) {
  count = Number(await extendChain(postgres, keys, true));
}
const chained = Math.round(linked / ((performance.now() - start) / 1000));
const verifyStart = performance.now();
const { checked, fault } = await audit.verify();
const verified = Math.round(checked / ((performance.now() - verifyStart) / 1000));

console.log(
  `Changes a second, ${concurrency} at a time, durable: ${plain} without an event, ${audited} with one, ` +
    `${serial} if each writer chained its own.\n` +
    `Events a second: ${chained} get their places, ${verified} are verified (${checked} events, ` +
    `${fault === undefined ? "all sound" : fault.problem}).`,
);
await postgres.close();
await databases.stop();
rmSync(directory, { recursive: true, force: true });
