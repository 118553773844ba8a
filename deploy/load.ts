/** Calls of every kind, made all the time, to see whether a rolling update loses one. */
import { Agent, request } from "node:https";
import { setTimeout } from "node:timers/promises";
import { credentials, Metadata } from "@grpc/grpc-js";
import { createGrpcClient } from "../client/grpc-js.js";
import { ChatService } from "../gen/tribe/v1/chat_pb.js";

export interface LoadOptions {
  /** `https://host:port` of an edge whose certificate is for localhost. */
  url: string;
  /** The certificate's authority (PEM). */
  authority: string;
  /** An API key. */
  key: string;
  /** How many callers of each kind. */
  callers: number;
  /** Milliseconds that each pauses between two calls. */
  pauseMs: number;
}

/** A kind of call; see the report. */
type LoadKind = Exclude<keyof LoadReport, "failures">;

/** What was asked, and what went wrong. */
export interface LoadReport {
  /** Stored turns over REST, each on a connection of its own. */
  turns: number;
  /** Reads over REST, on connections that are kept. */
  reads: number;
  /** Server-Sent Events that came to their `completed`. */
  streams: number;
  /** gRPC calls over one connection. */
  grpcCalls: number;
  failures: string[];
}

/** Not from the cache: an answer that is there at once is never under way when its instance ends. */
const question = JSON.stringify({ content: [{ text: "Hello" }], cache: "CACHE_MODE_BYPASS" });

class StaleConnection extends Error {}

/** Starts to call; `stop` waits for the last answers. */
export function startLoad({ url, authority, key, callers, pauseMs }: LoadOptions): {
  readonly report: LoadReport;
  stop(): Promise<LoadReport>;
} {
  const report: LoadReport = { turns: 0, reads: 0, streams: 0, grpcCalls: 0, failures: [] };
  const kept = new Agent({ keepAlive: true, maxSockets: callers });
  const { hostname, port } = new URL(url);
  const chat = createGrpcClient(
    ChatService,
    `${hostname}:${port || 443}`,
    credentials.createSsl(Buffer.from(authority)),
  );
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const state = { running: true };

  function send(path: string, options: { body?: string; accept?: string; agent?: Agent }) {
    const { body, accept = "application/json", agent } = options;
    return new Promise<string>((resolve, reject) => {
      const outgoing = request(
        `${url}${path}`,
        {
          method: body === undefined ? "GET" : "POST",
          ca: authority,
          servername: "localhost",
          agent: agent ?? false,
          headers: { authorization: `Bearer ${key}`, accept, "content-type": "application/json" },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.on("error", reject);
          response.on("end", () =>
            response.statusCode === 200
              ? resolve(text)
              : reject(new Error(`${response.statusCode} ${text}`)),
          );
        },
      );
      outgoing.on("error", (error: NodeJS.ErrnoException) => {
        const isStale = error.code === "ECONNRESET" && outgoing.reusedSocket;
        reject(isStale ? new StaleConnection("a kept connection was closed") : error);
      });
      outgoing.end(body);
    });
  }

  /** A kept connection may be closed while it is idle: whoever reads asks again, as browsers do. */
  async function read(path: string): Promise<string> {
    for (;;) {
      try {
        return await send(path, { agent: kept });
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
      }
    }
  }

  const kinds: Record<LoadKind, () => Promise<unknown>> = {
    turns: () => send("/api/v1/chat", { body: question }),
    reads: () => read("/api/v1/conversations"),
    async streams() {
      const text = await send("/api/v1/chat:stream", {
        body: question,
        accept: "text/event-stream",
      });
      if (!text.includes("event: completed"))
        throw new Error(`a stream was cut: ${text.slice(-300)}`);
    },
    grpcCalls: () =>
      new Promise<void>((resolve, reject) => {
        chat.listModels({}, metadata, (error) => (error ? reject(error) : resolve()));
      }),
  };

  async function callAgainAndAgain(kind: LoadKind) {
    while (state.running) {
      try {
        await kinds[kind]();
        report[kind] += 1;
      } catch (error) {
        report.failures.push(`${kind}: ${String(error)}`);
      }
      await setTimeout(pauseMs);
    }
  }

  const loops = (Object.keys(kinds) as LoadKind[]).flatMap((kind) =>
    Array.from({ length: callers }, () => callAgainAndAgain(kind)),
  );
  return {
    report,
    async stop() {
      state.running = false;
      await Promise.all(loops);
      kept.destroy();
      chat.close();
      return report;
    },
  };
}
