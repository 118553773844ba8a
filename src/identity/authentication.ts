import { createHash, timingSafeEqual } from "node:crypto";
import { getOption, type DescMethod, type DescService } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { policy, type Policy } from "../../gen/tribe/v1/policy_pb.js";
import { DomainError, unauthenticated } from "../errors.ts";
import { administratorId } from "./administrator.ts";
import { callerKey, type Caller } from "./caller.ts";

/** Finds out who holds a credential; undefined: nobody. */
export type Authenticate = (credential: string) => Caller | undefined | Promise<Caller | undefined>;

/**
 * Enforces the `policy` of every method: public, or a caller with the
 * permission. Without credentials nothing but public methods is reached.
 */
export function authenticationInterceptor(authenticate: Authenticate): Interceptor {
  const policies = new Map<DescMethod, Policy>();
  function policyOf(method: DescMethod): Policy {
    let found = policies.get(method);
    if (!found) policies.set(method, (found = getOption(method, policy)));
    return found;
  }

  return (next) => async (request) => {
    const { public: isPublic, permission } = policyOf(request.method);
    if (isPublic) return next(request);
    const credential = credentialOf(request.header);
    if (credential === undefined) {
      throw unauthenticated("no credential: send `authorization: Bearer <API key>` or `x-api-key`");
    }
    const caller = await authenticate(credential);
    if (!caller) throw unauthenticated("the credential is not valid");
    if (!caller.permissions.has(permission)) {
      throw new DomainError(
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
        `needs the permission ${permission}`,
        {
          metadata: { permission },
        },
      );
    }
    request.contextValues.set(callerKey, caller);
    return next(request);
  };
}

function credentialOf(header: Headers): string | undefined {
  const authorization = header.get("authorization");
  if (authorization !== null) {
    const [scheme, credential] = authorization.split(" ", 2);
    return scheme?.toLowerCase() === "bearer" && credential ? credential : undefined;
  }
  return header.get("x-api-key") ?? undefined;
}

/** Knows one key, the administrator's, whose permissions are all that the services name. */
export function administratorKey(key: string, services: readonly DescService[]): Authenticate {
  const permissions = services.flatMap(({ methods }) =>
    methods.map((method) => getOption(method, policy).permission),
  );
  const administrator: Caller = {
    userId: administratorId,
    role: "admin",
    permissions: new Set(permissions),
  };
  const expected = createHash("sha256").update(key).digest();
  return (credential) => {
    // Equal length and constant time whatever is sent.
    const digest = createHash("sha256").update(credential).digest();
    return timingSafeEqual(digest, expected) ? administrator : undefined;
  };
}
