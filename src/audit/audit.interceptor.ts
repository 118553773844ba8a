import {
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { DomainError } from "../errors.ts";
import { policyOf } from "../policy.ts";
import { callKey } from "../rpc/call.ts";
import { codeName } from "../rpc/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { actionOf } from "./action.ts";
import { createRefusalLog } from "./refusals.ts";
import { type AuditTrail, createTrail, trailKey } from "./trail.ts";

/** What the interceptor needs. */
export interface AuditInterceptorParts {
  write(trail: AuditTrail, outcome: string): Promise<void>;
  logger: Logger;
}

/**
 * Leaves an event for every call of an audited method. A change is recorded by whoever makes it,
 * in its transaction; what is left, reads and refusals, is written here. A read that cannot be
 * recorded fails: nobody looks at other people's data unseen.
 */
export function createAuditInterceptor({ write, logger }: AuditInterceptorParts): Interceptor {
  const refusals = createRefusalLog({ write, logger });

  async function audited(
    next: Parameters<Interceptor>[0],
    request: UnaryRequest | StreamRequest,
  ): ReturnType<Parameters<Interceptor>[0]> {
    const { contextValues, method } = request;
    const trail = createTrail(actionOf(method), contextValues.get(callKey));
    contextValues.set(trailKey, trail);
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: followed(response.message, trail) };
      if (!trail.isRecorded) await write(trail, "ok");
      return response;
    } catch (error) {
      await refusals.note(trail, outcomeOf(error));
      throw error;
    }
  }

  /** A handler begins with the first message: that is not sent before the event is written. */
  async function* followed<T>(messages: AsyncIterable<T>, trail: AuditTrail): AsyncIterable<T> {
    try {
      let isWritten = false;
      for await (const message of messages) {
        if (!isWritten) await write(trail, "ok");
        isWritten = true;
        yield message;
      }
      if (!isWritten) await write(trail, "ok");
    } catch (error) {
      await refusals.note(trail, outcomeOf(error));
      throw error;
    }
  }

  return (next) => (request) =>
    policyOf(request.method).audited ? audited(next, request) : next(request);
}

function outcomeOf(error: unknown): string {
  if (error instanceof DomainError) return error.reason;
  if (error instanceof ConnectError) return codeName(error.code);
  return "INTERNAL";
}
