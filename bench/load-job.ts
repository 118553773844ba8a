/** What the load generator is told, and what it tells. */

/** Which request to send. Everything is prebuilt, so that the load costs little. */
export interface LoadTarget {
  transport: "http" | "grpc";
  /** `http://host:port`, or `host:port` for gRPC. */
  origin: string;
  /** URL path, or the gRPC method's path. */
  path: string;
  headers: Record<string, string>;
  /** Request bodies, sent in turn. */
  bodies: Uint8Array[];
  /** A turn whose answer is smaller counts as failed. */
  minimumBytes: number;
  /** What the stream has in its first piece of text, to time it. Undefined: not a stream. */
  firstTextMarker?: string;
}

/** How to send it. */
export type LoadShape =
  /** Closed loop: so many at any time; whoever has an answer asks again. */
  | { concurrency: number }
  /** Open loop: arrivals a second at random (Poisson), however long answers take. */
  | { rate: number };

export interface LoadJob {
  target: LoadTarget;
  shape: LoadShape;
  /** Seconds, or turns, after which no turn is begun any more. */
  until: { seconds: number } | { turns: number };
}

/** Milliseconds. */
export interface Latency {
  p50: number;
  p99: number;
}

export interface LoadResult {
  turns: number;
  failures: number;
  firstFailure?: string;
  /** From the first request to the last answer. */
  seconds: number;
  latency: Latency;
  /** Streams only: to the first piece of text. */
  firstText?: Latency;
}
