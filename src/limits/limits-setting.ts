import {
  type AddressLimits,
  defaultLimits,
  limitedClasses,
  type LimitTable,
  type ModelLimits,
  perMinute,
  type Rate,
  type UserLimits,
} from "./limit-table.ts";

type Wrong = (description: string) => never;
type Fields<T> = { readonly [Name in keyof T]: (value: unknown, path: string) => T[Name] };

const largest = 1_000_000_000_000;

/** The setting by which administrators change limits without a restart: what is different from the defaults. */
export const limitsSetting = {
  name: "limits",
  default: defaultLimits,
  meaning:
    'What is different from the default limits, for example `{"roles": {"user": {"requests": 600, "tokens": {"perMinute": 100000, "burst": 200000}, "models": {"gpt-5": {"requests": 20}}}}, "users": {"0198…": {"concurrentRuns": null}}, "address": {"requests": 30}}`. A number is so many a minute, null is unlimited.',
  /** The whole table, with the defaults of what is left out. Throws through `wrong`. */
  parse(value: unknown, wrong: Wrong): LimitTable {
    const readers = readersOf(wrong);
    const given = object(value, "", wrong);
    refuseOthers(given, ["roles", "users", "address"], "", wrong);
    const roles: Record<string, UserLimits> = { ...defaultLimits.roles };
    for (const [role, limits] of entries(given, "roles", wrong)) {
      const usual = defaultLimits.roles[role];
      if (usual === undefined) {
        return wrong(`has no role "${role}"; there are ${Object.keys(roles).join(", ")}`);
      }
      roles[role] = { ...usual, ...readers.user(limits, `roles.${role}`) };
    }
    const users: Record<string, Partial<UserLimits>> = {};
    for (const [userId, limits] of entries(given, "users", wrong)) {
      users[userId] = readers.user(limits, `users.${userId}`);
    }
    const address = { ...defaultLimits.address, ...readers.address(given["address"], "address") };
    return { roles, users, address };
  },
};

/** Readers of the parts, which throw through `wrong` and name where they are. */
function readersOf(wrong: Wrong) {
  function rate(value: unknown, path: string): Rate | null {
    if (value === null) return null;
    if (isAmount(value, 0.001)) return perMinute(value);
    if (typeof value !== "object") {
      return wrong(`.${path} must be so many a minute, {perMinute, burst}, or null for unlimited`);
    }
    const given = object(value, path, wrong);
    refuseOthers(given, ["perMinute", "burst"], path, wrong);
    const { perMinute: count, burst } = given;
    if (!isAmount(count, 0.001)) {
      return wrong(`.${path}.perMinute must be a number from 0.001 to ${largest}`);
    }
    if (burst === undefined) return perMinute(count);
    if (!isAmount(burst, 1)) return wrong(`.${path}.burst must be a number from 1 to ${largest}`);
    return perMinute(count, burst);
  }
  function concurrent(value: unknown, path: string): number | null {
    if (value === null || (isAmount(value, 1) && Number.isInteger(value))) return value;
    return wrong(`.${path} must be a whole number from 1, or null for unlimited`);
  }
  function fields<T>(value: unknown, path: string, readers: Fields<T>): Partial<T> {
    if (value === undefined) return {};
    const given = object(value, path, wrong);
    refuseOthers(given, Object.keys(readers), path, wrong);
    const read: Partial<T> = {};
    for (const name of Object.keys(given) as (keyof T & string)[]) {
      read[name] = readers[name](given[name], `${path}.${name}`);
    }
    return read;
  }
  const none: ModelLimits = { requests: null, tokens: null };
  function models(value: unknown, path: string): Record<string, ModelLimits> {
    const read: Record<string, ModelLimits> = {};
    for (const [model, limits] of Object.entries(object(value, path, wrong))) {
      const given = fields<ModelLimits>(limits, `${path}.${model}`, {
        requests: rate,
        tokens: rate,
      });
      read[model] = { ...none, ...given };
    }
    return read;
  }
  const classes = Object.fromEntries(limitedClasses.map((name) => [name, rate]));
  const userFields = {
    requests: rate,
    tokens: rate,
    concurrentRuns: concurrent,
    models,
    ...classes,
  } as unknown as Fields<UserLimits>;
  const addressFields: Fields<AddressLimits> = { requests: rate, failedAuthentications: rate };
  return {
    user: (value: unknown, path: string) => fields(value, path, userFields),
    address: (value: unknown, path: string) => fields(value, path, addressFields),
  };
}

function isAmount(value: unknown, minimum: number): value is number {
  return typeof value === "number" && value >= minimum && value <= largest;
}

function object(value: unknown, path: string, wrong: Wrong): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return wrong(`${path === "" ? "" : `.${path} `}must be an object`);
  }
  return value as Record<string, unknown>;
}

function entries(given: Record<string, unknown>, name: string, wrong: Wrong): [string, unknown][] {
  return given[name] === undefined ? [] : Object.entries(object(given[name], name, wrong));
}

function refuseOthers(
  given: Record<string, unknown>,
  known: readonly string[],
  path: string,
  wrong: Wrong,
): void {
  const other = Object.keys(given).find((name) => !known.includes(name));
  if (other === undefined) return;
  wrong(`${path === "" ? "" : `.${path} `}has no "${other}"; there are ${known.join(", ")}`);
}
