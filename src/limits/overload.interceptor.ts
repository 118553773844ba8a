import type { Interceptor } from "@connectrpc/connect";
import { policyOf } from "../policy.ts";
import type { Overload } from "./overload.ts";

/** Refuses calls under overload, before anything is spent on them. */
export function createOverloadInterceptor(overload: Overload): Interceptor {
  return (next) => (request) => {
    const refusal = overload.refusal(policyOf(request.method).rateClass);
    return refusal === undefined ? next(request) : Promise.reject(refusal);
  };
}
