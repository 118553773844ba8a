/** How often something may happen: a bucket that holds `burst` and fills at `perMinute`. */
export interface Rate {
  readonly perMinute: number;
  readonly burst: number;
}

/** Endpoint classes that have limits of their own; health has none. */
export const limitedClasses = ["chat", "auth", "write", "read", "heavy"] as const;
export type LimitedClass = (typeof limitedClasses)[number];

/** Limits of one model for one user. Null: unlimited. */
export interface ModelLimits {
  readonly requests: Rate | null;
  readonly tokens: Rate | null;
}

/** Limits of one user. Null: unlimited. */
export interface UserLimits extends Readonly<Record<LimitedClass, Rate | null>> {
  /** Requests of every kind but health probes. */
  readonly requests: Rate | null;
  /** Tokens of chat turns, in and out. */
  readonly tokens: Rate | null;
  /** Runs that are under way at once. */
  readonly concurrentRuns: number | null;
  /** By the names of models; those that are left out have no limits of their own. */
  readonly models: Readonly<Record<string, ModelLimits>>;
}

/** Limits of one network address. Null: unlimited. */
export interface AddressLimits {
  /** Calls of RPCs that need no credential. */
  readonly requests: Rate | null;
  /** Credentials that turn out to be wrong. */
  readonly failedAuthentications: Rate | null;
}

/** Every limit there is. */
export interface LimitTable {
  readonly roles: Readonly<Record<string, UserLimits>>;
  /** What is different for single users, by their ids. */
  readonly users: Readonly<Record<string, Partial<UserLimits>>>;
  readonly address: AddressLimits;
}

/** So many a minute, at once if need be. */
export function perMinute(count: number, burst: number = Math.max(1, count)): Rate {
  return { perMinute: count, burst };
}

const person: UserLimits = {
  requests: perMinute(1200),
  chat: perMinute(300),
  auth: perMinute(60),
  write: perMinute(600),
  read: null,
  heavy: perMinute(120),
  tokens: perMinute(2_000_000),
  concurrentRuns: 50,
  models: {},
};
/** A program that chats for its users. */
const program: UserLimits = {
  requests: perMinute(60_000),
  chat: null,
  auth: perMinute(60),
  write: null,
  read: null,
  heavy: perMinute(1200),
  tokens: perMinute(100_000_000),
  concurrentRuns: 2000,
  models: {},
};

/** What applies unless the setting `limits` says otherwise: generous, to stop loops and floods. */
export const defaultLimits: LimitTable = {
  roles: {
    viewer: person,
    user: person,
    service: program,
    admin: {
      ...program,
      requests: perMinute(1_000_000),
      auth: perMinute(600),
      heavy: null,
      tokens: perMinute(10_000_000_000),
      concurrentRuns: 10_000,
    },
  },
  users: {},
  address: { requests: perMinute(120), failedAuthentications: perMinute(60) },
};

/** The limits of a user of this role. */
export function limitsOf(table: LimitTable, role: string, userId: string): UserLimits {
  const ofRole = table.roles[role] ?? person;
  const own = table.users[userId];
  if (own === undefined) return ofRole;
  return { ...ofRole, ...own, models: { ...ofRole.models, ...own.models } };
}
