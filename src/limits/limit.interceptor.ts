import type {
  ContextValues,
  Interceptor,
  StreamResponse,
  UnaryResponse,
} from "@connectrpc/connect";
import { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import { DomainError } from "../errors.ts";
import { policyOf } from "../policy.ts";
import type { LimitedCaller, Limits, RateHeaders } from "./limits.ts";

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
  return (next) => (request) => {
    const { rateClass } = policyOf(request.method);
    if (rateClass === RateClass.HEALTH || rateClass === RateClass.CHAT) return next(request);
    const { contextValues } = request;
    try {
      const caller = parts.callerOf(contextValues);
      const taken =
        caller === undefined
          ? limits.takePublic(parts.addressOf(contextValues))
          : limits.takeRequest(caller, rateClass);
      if (taken instanceof Promise) return taken.then((headers) => tell(next(request), headers));
      return tell(next(request), taken);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  };
}

/** Says how the caller stands, in an answer and in an error. */
function tell(answer: Promise<Response>, headers: RateHeaders): Promise<Response> {
  return answer.then(
    (response) => {
      for (const name in headers) response.header.set(name, headers[name] ?? "");
      return response;
    },
    (error: unknown) => {
      if (error instanceof DomainError) Object.assign(error.headers, headers);
      throw error;
    },
  );
}
