import { type ContextValues, createContextKey } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";

/** What is going to be known of one audited call. Whoever learns something adds it. */
export interface AuditTrail {
  /** For example `identity.key.create`. */
  action: string;
  /** For example `api_key/0198…`. Empty: what the action is done to says nothing. */
  resource: string;
  /** Undefined: whoever the call says. */
  userId: string | undefined;
  apiKeyId: string | undefined;
  requestId: string;
  address: string;
  /** What more there is to know; personal facts too, since they are erased with their user. */
  facts: Record<string, string>;
  /** Whose personal data the address and the facts are. Undefined: of who does it. */
  subjectId: string | undefined;
  /** Whether the event of the change has been written. Tells nothing if the call then fails. */
  isRecorded: boolean;
  /** Whether the event of its refusal has been written. */
  isRefusalRecorded: boolean;
  readonly call: Call | undefined;
}

/** Set on every call of an audited method. */
export const trailKey = createContextKey<AuditTrail | undefined>(undefined, {
  description: "what the audit log will say of the call",
});

/** The trail of a call of an audited method. */
export function trailOf(values: ContextValues): AuditTrail {
  const trail = values.get(trailKey);
  // Better no change than one that nobody recorded.
  if (trail === undefined) throw new Error("the method is not audited");
  return trail;
}

/** Leaves no event if all goes well: whoever looks at their own things is nobody's business. */
export function leaveUnrecorded(trail: AuditTrail): void {
  trail.isRecorded = true;
}

/** Begins a trail. Without a call it is something that Tribe does by itself. */
export function createTrail(
  action: string,
  call?: Call,
  changes?: Partial<AuditTrail>,
): AuditTrail {
  return {
    action,
    resource: "",
    userId: undefined,
    apiKeyId: undefined,
    requestId: call?.requestId ?? "",
    address: call?.address ?? "",
    facts: {},
    subjectId: undefined,
    isRecorded: false,
    isRefusalRecorded: false,
    call,
    ...changes,
  };
}
