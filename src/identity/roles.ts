import type { userRoles } from "./user.entity.ts";

/** What a user is. */
export type RoleName = (typeof userRoles)[number];

/** What each role may do. */
export type RolePermissions = Readonly<Record<RoleName, ReadonlySet<string>>>;

/** Everybody reads, and sets their own password. */
const reading = [
  "me:read",
  "me:write",
  "models:read",
  "chat:read",
  "conversations:read",
  "usage:read",
  "keys:read",
];
const chatting = ["chat:write", "conversations:write"];
const administering = [
  "keys:write",
  "users:read",
  "users:write",
  "usage:read_all",
  "budgets:write",
  "audit:read",
  "settings:read",
  "settings:write",
  "health:read",
];

/**
 * Every permission there is, by the role that has it unless the setting `rolePermissions` says
 * otherwise. A permission is for one's own things; `users:*`, `usage:read_all`, `budgets:*`,
 * `audit:*` and `settings:*` are for everybody's.
 */
export const defaultRolePermissions: Readonly<Record<RoleName, readonly string[]>> = {
  viewer: reading,
  user: [...reading, ...chatting, "keys:write"],
  // A program's key that leaks must not be able to make more of itself.
  service: [...reading, ...chatting],
  admin: [...reading, ...chatting, ...administering],
};

/** Every permission there is. */
export const allPermissions: ReadonlySet<string> = new Set(
  Object.values(defaultRolePermissions).flat(),
);

/** The permissions of the roles, for looking up. */
export function toRolePermissions(
  table: Readonly<Record<RoleName, readonly string[]>>,
): RolePermissions {
  const entries = Object.entries(table).map(([role, names]) => [role, new Set(names)]);
  return Object.fromEntries(entries) as RolePermissions;
}
