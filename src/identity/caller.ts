import { type ContextValues, createContextKey } from "@connectrpc/connect";
import { unauthenticated } from "../errors.ts";

/** Who is calling, as the authentication interceptor found out. */
export interface Caller {
  /** UUIDv7 of the user. */
  userId: string;
  /** UUIDv7 of the API key, if one was used. */
  apiKeyId?: string;
  role: "viewer" | "user" | "admin" | "service";
  permissions: ReadonlySet<string>;
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
