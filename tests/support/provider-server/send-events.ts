import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Reply } from "./reply.ts";

/** Sends the events as the reply says. True when all of them were sent and the body ended. */
export async function sendEvents(
  response: ServerResponse,
  events: readonly (string | Uint8Array)[],
  reply: Reply,
): Promise<boolean> {
  const { hang, truncateAfter, resetAfter, delayMs = 0, bytesPerWrite } = reply;
  response.flushHeaders();
  for (const [index, event] of events.entries()) {
    if (response.destroyed) return false;
    if (index === hang || (index === 0 && hang === "after_headers")) {
      await keepAlive(response, reply.keepAliveMs);
      return false;
    }
    if (index === truncateAfter) {
      response.end();
      return false;
    }
    if (index === resetAfter) {
      // A reset discards what is not sent yet.
      await new Promise((resolve) => response.write("", resolve));
      response.socket?.resetAndDestroy();
      return false;
    }
    if (delayMs > 0 && index > 0) await sleep(delayMs);
    if (bytesPerWrite === undefined) response.write(event);
    else await writeInPieces(response, Buffer.from(event), bytesPerWrite);
  }
  if (hang === events.length) {
    await keepAlive(response, reply.keepAliveMs);
    return true;
  }
  response.end();
  return true;
}

async function writeInPieces(response: ServerResponse, bytes: Buffer, size: number) {
  response.socket?.setNoDelay(true);
  for (let start = 0; start < bytes.length; start += size) {
    response.write(bytes.subarray(start, start + size));
    await new Promise(setImmediate);
  }
}

/** Hangs until the client goes away. */
async function keepAlive(response: ServerResponse, everyMs: number | undefined): Promise<void> {
  if (everyMs === undefined) return;
  while (!response.destroyed) {
    response.write(": keep-alive\n\n");
    await sleep(everyMs, undefined, { ref: false });
  }
}
