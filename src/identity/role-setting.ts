import type { SettingDefinition } from "../settings/definition.ts";
import { allPermissions, defaultRolePermissions, type RoleName } from "./roles.ts";

/** The permissions of each role, where they are not the default ones. */
export const rolePermissionsSetting: SettingDefinition<
  Readonly<Record<RoleName, readonly string[]>>
> = {
  name: "rolePermissions",
  default: defaultRolePermissions,
  meaning:
    'What each role may do, for example `{"viewer": ["me:read", "conversations:read"]}`; roles that are left out keep their default permissions. `admin` keeps `settings:write`, so that there is a way back.',
  parse(value, wrong) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      wrong("must be an object of lists of permissions by role");
    }
    for (const [role, permissions] of Object.entries(value as object)) {
      if (!(role in defaultRolePermissions)) {
        wrong(`has no role "${role}"; there are ${Object.keys(defaultRolePermissions).join(", ")}`);
      }
      if (!Array.isArray(permissions)) wrong(`must have a list for ${role}`);
      const unknown = (permissions as unknown[]).find((name) => !allPermissions.has(String(name)));
      if (unknown !== undefined) {
        wrong(
          `has for ${role} no permission, "${String(unknown)}"; there are ${[...allPermissions].sort().join(", ")}`,
        );
      }
    }
    const table = { ...defaultRolePermissions, ...(value as Partial<Record<RoleName, string[]>>) };
    if (!table.admin.includes("settings:write")) wrong("must leave admin settings:write");
    return table;
  },
};
