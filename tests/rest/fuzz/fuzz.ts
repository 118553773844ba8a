/** Sends many random requests and tells what was wrong with the answers. */
import fc from "fast-check";
import { exchange, type FuzzAnswer } from "./client.ts";
import { arbitraryRequest, type FuzzRequest, type FuzzTarget } from "./requests.ts";

/** What to send where. */
export interface FuzzOptions extends FuzzTarget {
  readonly port: number;
  /** Answers that are right although they look wrong. */
  isExpected?(answer: FuzzAnswer): boolean;
}

/** What came of it. */
export interface FuzzReport {
  readonly seed: number;
  readonly requests: number;
  /** How often each status was answered; `0` counts connections without an answer. */
  readonly statuses: Record<number, number>;
  /** The first faults, each with the request. */
  readonly faults: string[];
}

/** How many requests are generated at a time, and sent at the same time. */
const batch = 500;
const concurrency = 40;

/** How many requests to send, and the seed: FUZZ_REQUESTS and FUZZ_SEED, as scripts/fuzz-rest.ts sets them. */
export function fuzzSize(): { requests: number; seed: number } {
  const { FUZZ_REQUESTS: requests = "1500", FUZZ_SEED: seed = "1" } = process.env;
  return { requests: Number(requests), seed: Number(seed) };
}

/** Sends the requests of a seed. The same seed gives the same requests to the same target. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { requests, seed } = fuzzSize();
  const arbitrary = arbitraryRequest(options);
  const statuses: Record<number, number> = {};
  const faults: string[] = [];
  const count = (status: number): void => {
    statuses[status] = (statuses[status] ?? 0) + 1;
  };

  const send = async (request: FuzzRequest): Promise<void> => {
    try {
      const answers = await exchange(options.port, request);
      if (answers.length === 0) count(0);
      for (const answer of answers) {
        count(answer.status);
        const fault = faultOf(answer, request, options);
        if (fault !== undefined) faults.push(`${fault}\n${show(request)}`);
      }
    } catch (error) {
      faults.push(`${String(error)}\n${show(request)}`);
    }
  };

  for (let sent = 0; sent < requests && faults.length < 5; sent += batch) {
    const numRuns = Math.min(batch, requests - sent);
    const waiting = fc.sample(arbitrary, { seed: seed + sent, numRuns });
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await send(next);
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  }
  // oxlint-disable-next-line no-console -- the figures of a long run
  if (process.env["FUZZ_REQUESTS"] !== undefined) console.log({ seed, requests, statuses });
  return { seed, requests, statuses, faults };
}

/** Undefined if an answer is one that a server may give to anything. */
function faultOf(answer: FuzzAnswer, request: FuzzRequest, options: FuzzOptions) {
  const { status, head, body, complete } = answer;
  if (options.isExpected?.(answer)) return undefined;
  if (status >= 500 && !mayBeLate(answer, request)) return `${head}\n\n${body}`;
  const isJson = /\r\ncontent-type: application\/json/i.test(head);
  if (status < 400 || !complete || body === "" || !isJson) return undefined;
  if (/\r\ncontent-encoding: /i.test(head)) return undefined;
  const { code, message, details } = JSON.parse(body) as Record<string, unknown>;
  if (typeof code === "number" && typeof message === "string" && Array.isArray(details)) {
    return undefined;
  }
  return `not a google.rpc.Status: ${head}\n\n${body}`;
}

/** Whoever sets a short deadline is told that it has passed. */
function mayBeLate({ status, body }: FuzzAnswer, request: FuzzRequest): boolean {
  if (status !== 504 || !body.includes(`"code":4,`)) return false;
  return /timeout/i.test(Buffer.concat(request.pieces).toString("latin1"));
}

function show({ pieces }: FuzzRequest): string {
  const bytes = Buffer.concat(pieces).toString("latin1");
  return JSON.stringify(bytes.length > 800 ? `${bytes.slice(0, 800)}…` : bytes);
}
