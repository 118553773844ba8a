/** The load generator's clients: one call sends one turn, as cheaply as a real client can. */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { Pool, type Dispatcher } from "undici";
import type { LoadTarget } from "./load-job.ts";

/** What became of a turn. */
export interface TurnEnd {
  /** Undefined: it went well. */
  failure?: string;
  /** When the first piece of text came, by performance.now(). */
  firstTextAt?: number;
}

export interface LoadClient {
  /** Sends a turn and calls back once, when it ended. */
  send(body: Uint8Array, done: (end: TurnEnd) => void): void;
  close(): Promise<void> | void;
}

export function createLoadClient(target: LoadTarget): LoadClient {
  return target.transport === "grpc" ? grpcClient(target) : httpClient(target);
}

function httpClient({ origin, path, headers, ...target }: LoadTarget): LoadClient {
  const pool = new Pool(origin, { bodyTimeout: 60_000, headersTimeout: 60_000 });
  const marker = target.firstTextMarker;
  return {
    send(body, done) {
      let status = 0;
      let received = 0;
      let text = "";
      const end: TurnEnd = {};
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart() {},
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData(_controller, chunk) {
          received += chunk.byteLength;
          if (status !== 200) text += chunk.toString();
          if (marker && !end.firstTextAt && chunk.includes(marker)) {
            end.firstTextAt = performance.now();
          }
        },
        onResponseEnd() {
          if (status !== 200) end.failure = `status ${status}: ${text}`;
          else if (received < target.minimumBytes) end.failure = `only ${received} bytes`;
          done(end);
        },
        onResponseError(_controller, error) {
          done({ failure: error.message });
        },
      };
      pool.dispatch({ path, method: "POST", headers, body: body as Buffer }, handler);
    },
    close: () => pool.close(),
  };
}

function grpcClient({ origin, path, headers, bodies, minimumBytes }: LoadTarget): LoadClient {
  const client = new Client(origin, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const same = (bytes: Buffer) => bytes;
  const buffers = new Map(bodies.map((body) => [body, Buffer.from(body)]));
  return {
    send(body, done) {
      const request = buffers.get(body) as Buffer;
      client.makeUnaryRequest(path, same, same, request, metadata, (error, answer) => {
        if (error) done({ failure: error.message });
        else if (!answer || answer.byteLength < minimumBytes) done({ failure: "a short answer" });
        else done({});
      });
    },
    close: () => client.close(),
  };
}
