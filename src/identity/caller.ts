import { createContextKey } from "@connectrpc/connect";

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
