import type {
  ContextValues,
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import { DomainError } from "../errors.ts";
import { policyOf } from "../policy.ts";
import type { LimitedCaller, Limits } from "./limits.ts";

/** What the interceptor needs. */
export interface LimitInterceptorParts {
  limits: Pick<Limits, "takeRequest" | "takePublic">;
  /** Undefined on public methods. */
  callerOf(values: ContextValues): LimitedCaller | undefined;
  /** The address that the call came from. */
  addressOf(values: ContextValues): string;
}

type Response = UnaryResponse | StreamResponse;

/**
 * Takes every call from its buckets, by the `rate_class` of its policy, and tells the caller how
 * it stands. Comes after the one that finds out who calls. Health is never limited; a chat turn
 * takes for itself, because only the turn knows its model and whether it is a retry.
 */
export function createLimitInterceptor(parts: LimitInterceptorParts): Interceptor {
  const { limits } = parts;

  async function limited(
    next: Parameters<Interceptor>[0],
    request: UnaryRequest | StreamRequest,
    rateClass: RateClass,
  ): Promise<Response> {
    const { contextValues } = request;
    const caller = parts.callerOf(contextValues);
    const taken =
      caller === undefined
        ? limits.takePublic(parts.addressOf(contextValues))
        : limits.takeRequest(caller, rateClass);
    const headers = taken instanceof Promise ? await taken : taken;
    try {
      const response = await next(request);
      for (const name in headers) response.header.set(name, headers[name] ?? "");
      return response;
    } catch (error) {
      if (error instanceof DomainError) Object.assign(error.headers, headers);
      throw error;
    }
  }

  return (next) => (request) => {
    const { rateClass } = policyOf(request.method);
    if (rateClass === RateClass.HEALTH || rateClass === RateClass.CHAT) return next(request);
    return limited(next, request, rateClass);
  };
}
