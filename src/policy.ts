import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { policy, type Policy, RateClass } from "../gen/tribe/v1/policy_pb.js";

const policies = new WeakMap<DescMethod, Policy>();

/** What the contract says of who may call a method, how it is limited and whether it is audited. */
export function policyOf(method: DescMethod): Policy {
  let found = policies.get(method);
  if (found === undefined) {
    found = getOption(method, policy);
    policies.set(method, found);
  }
  return found;
}

/** `resource:verb`, as the roles and the scopes of API keys name them. */
const permissionPattern = /^[a-z][a-z_-]*:[a-z]+$/;

/**
 * Refuses to go on with services of which any method lacks a sound policy, or needs a
 * permission that no role could grant: such a method would be open to everybody or to nobody.
 * @throws Error that lists every fault.
 */
export function requirePolicies(
  services: readonly DescService[],
  permissions: ReadonlySet<string>,
): void {
  const faults = services
    .flatMap((service) => service.methods)
    .flatMap((method) => {
      const fault = policyFault(method, permissions);
      return fault === undefined ? [] : `${method.parent.typeName}/${method.name} ${fault}`;
    });
  if (faults.length > 0) {
    throw new Error(`The contract has no sound policy for every RPC:\n- ${faults.join("\n- ")}`);
  }
}

function policyFault(method: DescMethod, permissions: ReadonlySet<string>): string | undefined {
  if (!hasOption(method, policy)) return "has no option (tribe.v1.policy)";
  const { public: isPublic, permission, rateClass } = policyOf(method);
  if (rateClass === RateClass.UNSPECIFIED) return "names no rate_class";
  if (isPublic) return permission === "" ? undefined : "is public and needs a permission";
  if (permission === "") return "is neither public nor does it need a permission";
  if (!permissionPattern.test(permission)) return `needs "${permission}", not a resource:verb`;
  if (!permissions.has(permission)) return `needs ${permission}, which no role has`;
  return undefined;
}
