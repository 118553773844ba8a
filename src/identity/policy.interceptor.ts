import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { DomainError } from "../errors.ts";
import { policyOf } from "../policy.ts";
import { callKey, type CallFacts } from "../rpc/call.ts";
import { type Caller, callerKey } from "./caller.ts";

/**
 * Finds out who calls, from the credential in the headers: at once when it is known already.
 * Fails with UNAUTHENTICATED, or with RESOURCE_EXHAUSTED when too many from the address were wrong.
 */
export type Authenticate = (
  header: Headers,
  method: DescMethod,
  address: string,
) => Caller | Promise<Caller>;

/** Told of every call with an API key, and from where it came; on the way of the call. */
export type OnKeyUse = (apiKeyId: string, userId: string, address: string) => void;

/**
 * Enforces the `policy` of every method, on every door: it is public, or the caller has the
 * permission. Without a credential nothing but public methods is reached.
 */
export function createPolicyInterceptor(
  authenticate: Authenticate,
  onKeyUse: OnKeyUse = () => {},
): Interceptor {
  return (next) => (request) => {
    const { public: isPublic, permission } = policyOf(request.method);
    if (isPublic) return next(request);
    try {
      const address = request.contextValues.get(callKey)?.address ?? "";
      const caller = authenticate(request.header, request.method, address);
      if (caller instanceof Promise) {
        return afterwards(request, caller, permission, onKeyUse, next);
      }
      return next(admit(request, caller, permission, onKeyUse));
    } catch (error) {
      return Promise.reject(error as Error);
    }
  };
}

type Next = Parameters<Interceptor>[0];

async function afterwards(
  request: UnaryRequest | StreamRequest,
  caller: Promise<Caller>,
  permission: string,
  onKeyUse: OnKeyUse,
  next: Next,
) {
  return next(admit(request, await caller, permission, onKeyUse));
}

/** The request, with its caller, who may make it. */
function admit<Request extends UnaryRequest | StreamRequest>(
  request: Request,
  caller: Caller,
  permission: string,
  onKeyUse: OnKeyUse,
): Request {
  const { contextValues } = request;
  contextValues.set(callerKey, caller);
  const call = contextValues.get(callKey);
  if (call !== undefined && caller.apiKeyId !== undefined) {
    onKeyUse(caller.apiKeyId, caller.userId, call.address);
  }
  // Adding facts replaces the object, so all calls of a caller can begin with the same.
  if (call !== undefined && call.facts === undefined) call.facts = factsOf(caller);
  if (caller.permissions.has(permission)) return request;
  throw new DomainError("PERMISSION_DENIED", "PERMISSION_DENIED", `needs ${permission}`, {
    metadata: { permission },
  });
}

const facts = new WeakMap<Caller, CallFacts>();

function factsOf(caller: Caller): CallFacts {
  let found = facts.get(caller);
  if (found === undefined) {
    const { userId, apiKeyId } = caller;
    found = Object.freeze({ userId, ...(apiKeyId !== undefined && { apiKeyId }) });
    facts.set(caller, found);
  }
  return found;
}
