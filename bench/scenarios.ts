/** The scenarios, and how each is loaded. */
import type { LoadShape } from "./load-job.ts";
import type { BenchOptions } from "./options.ts";
import type { ProviderSettings } from "./provider-server.ts";

/**
 * `rest` and `grpc`: a whole answer for a question. `sse`: the answer as a stream, as fast as
 * the provider writes. `paced`: a stream at the pace of a fast model.
 */
export type Scenario = "rest" | "grpc" | "sse" | "paced";

export interface ScenarioPlan {
  scenario: Scenario;
  title: string;
  provider: ProviderSettings;
  /** Closed loop: CPU and turns a second. */
  closed: LoadShape;
  /** Open loops: latency. */
  open: LoadShape[];
}

/** Streams at a time in `paced`: enough to be busy, few enough not to be full. */
const pacedConcurrency = 32;
/** Milliseconds between the pieces of a fast model. */
const pacedInterval = 5;

export function planScenarios(options: BenchOptions): ScenarioPlan[] {
  const closed = { concurrency: options.concurrency };
  const whole = { pieces: options.pieces, pieceInterval: 0 };
  const streamed = { pieces: options.streamPieces, pieceInterval: 0 };
  const open = options.rates.map((rate) => ({ rate }));
  return [
    { scenario: "rest", title: "REST, whole answer", provider: whole, closed, open },
    { scenario: "grpc", title: "gRPC, whole answer", provider: whole, closed, open },
    {
      scenario: "sse",
      title: `SSE of ${options.streamPieces} pieces, as fast as they come`,
      provider: streamed,
      closed,
      open: options.streamRates.map((rate) => ({ rate })),
    },
    {
      scenario: "paced",
      title: `SSE of ${options.streamPieces} pieces, one every ${pacedInterval} ms`,
      provider: { ...streamed, pieceInterval: pacedInterval },
      closed: { concurrency: pacedConcurrency },
      open: [],
    },
  ];
}
