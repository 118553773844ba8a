/**
 * What a unary REST call costs: through the transcoder, by Connect JSON, and by
 * hand, with 10, 100 and 1,000 routes. Processes answer the same calls in turns;
 * the figures are medians of CPU microseconds a call. It only reports.
 *
 * `by-hand` passes plain objects through a Fastify route; `by-hand-protobuf`
 * makes messages of them, as the same handler needs it. GET through the
 * transcoder includes an entity tag, which the others do not make.
 *
 *     npm run bench:rest -- [rounds] [calls a round]
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Pool } from "undici";
import { pathOf, thing } from "./rest-service.ts";

const [rounds = 5, calls = 6_000] = process.argv.slice(2).map(Number);
const kinds = ["by-hand", "by-hand-protobuf", "transcoder", "connect"] as const;
const workloads = ["POST", "GET"] as const;
const concurrency = 32;

/**
 * Keeps this process awake between answers. On a virtual machine, waking a
 * sleeping client costs whoever writes to it more than the whole call.
 */
let measuring = true;
function stayAwake(): void {
  if (measuring) setImmediate(stayAwake);
}

interface Subject {
  kind: (typeof kinds)[number];
  routeCount: number;
  child: ChildProcess;
  pool: Pool;
}

async function start(kind: Subject["kind"], routeCount: number): Promise<Subject> {
  const child = fork(join(import.meta.dirname, "rest-subject.ts"), [kind, String(routeCount)]);
  const [port] = (await once(child, "message")) as [number];
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: concurrency });
  return { kind, routeCount, child, pool };
}

async function cpu({ child }: Subject): Promise<number> {
  const answer = once(child, "message") as Promise<[NodeJS.CpuUsage]>;
  child.send("cpu");
  const [{ user, system }] = await answer;
  return user + system;
}

async function call(subject: Subject, method: "GET" | "POST", number: number): Promise<void> {
  const index = number % subject.routeCount;
  const name = `thing-${number}`;
  const isConnect = subject.kind === "connect";
  const rpc = `/bench.v1.ThingService/${method === "GET" ? "Get" : "Set"}${index}`;
  const body = JSON.stringify(method === "GET" ? { name } : { ...thing, name });
  const response = await subject.pool.request(
    isConnect || method === "POST"
      ? {
          method: "POST",
          path: isConnect ? rpc : pathOf(index, name),
          headers: { "content-type": "application/json" },
          body,
        }
      : { method, path: pathOf(index, name) },
  );
  const answer = (await response.body.json()) as { name?: string; count?: number };
  if (answer.name !== name || answer.count !== (method === "GET" ? 42 : 43)) {
    throw new Error(`${subject.kind} answers ${response.statusCode} ${JSON.stringify(answer)}`);
  }
}

/** CPU microseconds a call. */
async function measure(subject: Subject, method: "GET" | "POST", count: number): Promise<number> {
  const before = await cpu(subject);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await call(subject, method, next++);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return ((await cpu(subject)) - before) / count;
}

function median(values: number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

stayAwake();
const table: Record<string, string | number>[] = [];
for (const routeCount of [10, 100, 1_000]) {
  const subjects = await Promise.all(kinds.map((kind) => start(kind, routeCount)));
  const figures = new Map<string, number[]>();
  for (const subject of subjects) {
    for (const method of workloads) await measure(subject, method, calls);
  }
  for (let round = 0; round < rounds; round++) {
    for (const method of workloads) {
      for (const subject of subjects) {
        const key = `${method} ${subject.kind}`;
        figures.set(key, [...(figures.get(key) ?? []), await measure(subject, method, calls)]);
      }
    }
  }
  for (const subject of subjects) {
    await subject.pool.close();
    subject.child.disconnect();
  }
  for (const method of workloads) {
    const base = figures.get(`${method} by-hand`) ?? [];
    for (const kind of kinds) {
      const values = figures.get(`${method} ${kind}`) ?? [];
      const ratios = values.map((value, round) => value / (base[round] ?? Number.NaN));
      table.push({
        routes: routeCount,
        call: method,
        variant: kind,
        "CPU µs": median(values).toFixed(1),
        "÷ by hand": median(ratios).toFixed(2),
      });
    }
  }
}
measuring = false;
console.table(table);
