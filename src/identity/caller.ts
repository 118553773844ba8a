import { type ContextValues, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { unauthenticated } from "../errors.ts";
import type { RoleName } from "./roles.ts";

/** Who is calling, as the authentication interceptor found out. Shared by calls: never changed. */
export interface Caller {
  /** UUIDv7 of the user. */
  readonly userId: string;
  /** UUIDv7 of the API key, if one was used. */
  readonly apiKeyId?: string;
  /** UUIDv7 of the session, if its token or its cookie was used. */
  readonly sessionId?: string;
  readonly role: RoleName;
  /** Of the role, or those of them that are the key's scopes. */
  readonly permissions: ReadonlySet<string>;
  /** The API key's own limits, beside those of the user. */
  readonly limits?: CallerLimits;
}

/** Limits of one API key. */
export interface CallerLimits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
}

/** Set on every call that is not public. AsyncLocalStorage is lost inside streaming handlers. */
export const callerKey = createContextKey<Caller | undefined>(undefined, {
  description: "who is calling",
});

/** The caller of a call that needs one. */
export function requireCaller(values: ContextValues): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) throw unauthenticated("the call needs a credential");
  return caller;
}

/** The caller of a method that is not public. */
export function callerOf(context: HandlerContext): Caller {
  return requireCaller(context.values);
}
