import type { ServiceImpl } from "@connectrpc/connect";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type IdentityService,
  Role,
  type UpdateUserRequest,
  type User,
} from "../../gen/tribe/v1/identity_pb.js";
import { trailOf } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { DomainError, invalidField, notFound } from "../errors.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { administratorId } from "./administrator.ts";
import { requireCaller } from "./caller.ts";
import { requireAll } from "./grants.ts";
import { isIdCursor } from "./id-cursor.ts";
import type { Passwords } from "./password.ts";
import type { RoleName, RolePermissions } from "./roles.ts";
import type { StoredUser, UserChanges, UserRepository } from "./user.repository.ts";

/** What the user part of IdentityService is made of. */
export interface UserServiceParts {
  users: UserRepository;
  passwords: Passwords;
  roles(): RolePermissions;
  changes: Pick<Changes, "publish">;
}

/** How many users a page has unless told otherwise. */
const defaultPageSize = 50;

/** The user part of IdentityService: from the contract to the repository and back. */
export function createUserService(parts: UserServiceParts) {
  const { users, passwords, roles, changes } = parts;

  async function requireUser(userId: string): Promise<StoredUser> {
    const user = await users.find(userId);
    if (user === undefined) throw notFound("user", userId);
    return user;
  }

  return {
    async createUser({ email, displayName, role: protoRole, password }, { values }) {
      const role = fromProtoRole(protoRole, "role");
      requireAll(requireCaller(values), roles()[role], "make a user who has it");
      if (password !== "" && email === "") {
        throw invalidField("email", "is empty; whoever has a password signs in with an e-mail");
      }
      const passwordHash = password === "" ? undefined : await passwords.hash(password);
      const user = { email: email || undefined, displayName, role, passwordHash };
      const created = await users.create(user, trailOf(values));
      if (created === "email_taken") {
        throw new DomainError("ALREADY_EXISTS", "EMAIL_TAKEN", "a user has this e-mail already", {
          fields: [{ field: "email", description: "is another user's" }],
        });
      }
      return { user: toProtoUser(created) };
    },

    async listUsers({ pageSize, pageToken }) {
      const limit = pageSize || defaultPageSize;
      const scope = ["ListUsers"];
      const after = decodePageToken(pageToken, scope, isIdCursor)?.[0];
      const found = await users.list(limit + 1, after);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        users: page.map(toProtoUser),
        nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.userId]),
      };
    },

    async getUser({ userId }, { values }) {
      trailOf(values).resource = `user/${userId}`;
      return { user: toProtoUser(await requireUser(userId)) };
    },

    async updateUser(request, { values }) {
      const userId = request.user?.userId ?? "";
      const trail = trailOf(values);
      trail.resource = `user/${userId}`;
      const userChanges = toChanges(request);
      const caller = requireCaller(values);
      const user = await requireUser(userId);
      refuseToTouchAdministrator(userId, userChanges.role, userChanges.isDisabled ?? false);
      if (userChanges.role !== undefined) {
        // Neither lifts others above oneself nor lowers those who stand there.
        requireAll(caller, roles()[userChanges.role], "give a role that has it");
        requireAll(caller, roles()[user.role], "change the role of a user who has it");
      }
      if (userChanges.isDisabled !== undefined) {
        requireAll(caller, roles()[user.role], "disable or enable a user who has it");
      }
      for (const [name, value] of Object.entries(userChanges)) trail.facts[name] = String(value);
      trail.subjectId = userId;
      const updated = await users.update(userId, userChanges, trail);
      if (updated === undefined) throw notFound("user", userId);
      changes.publish([`user:${userId}`]);
      return { user: toProtoUser(updated) };
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}

/** A user, for a caller. */
export function toProtoUser(stored: StoredUser): User {
  return {
    $typeName: "tribe.v1.User",
    userId: stored.userId,
    email: stored.email ?? "",
    displayName: stored.displayName,
    role: protoRoles[stored.role],
    disabled: stored.isDisabled,
    createTime: timestampFromDate(stored.createTime),
    updateTime: timestampFromDate(stored.updateTime),
    ...blockExpireTime(stored.blockTime),
  };
}

/** When a block ends, as long as it has not. */
export function blockExpireTime(blockTime: Date | undefined): { blockExpireTime?: Timestamp } {
  if (blockTime === undefined || blockTime.getTime() <= Date.now()) return {};
  return { blockExpireTime: timestampFromDate(blockTime) };
}

const protoRoles: Readonly<Record<RoleName, Role>> = {
  viewer: Role.VIEWER,
  user: Role.USER,
  admin: Role.ADMIN,
  service: Role.SERVICE,
};

function fromProtoRole(role: Role, field: string): RoleName {
  const names = Object.keys(protoRoles) as RoleName[];
  const found = names.find((name) => protoRoles[name] === role);
  if (found === undefined) {
    throw invalidField(field, "must be ROLE_VIEWER, ROLE_USER, ROLE_ADMIN or ROLE_SERVICE");
  }
  return found;
}

/** The user of ADMIN_API_KEY is the way back in when everybody else is locked out. */
export function refuseToTouchAdministrator(
  userId: string,
  role: RoleName | undefined,
  isEnded: boolean,
): void {
  if (userId !== administratorId || (!isEnded && (role === undefined || role === "admin"))) return;
  throw new DomainError(
    "FAILED_PRECONDITION",
    "FIRST_ADMINISTRATOR",
    "the user of ADMIN_API_KEY stays an administrator; change ADMIN_API_KEY instead",
  );
}

/** The fields that may be changed, as a mask names them. */
const changeable = ["display_name", "role", "disabled"] as const;

function toChanges({ user, updateMask }: UpdateUserRequest): UserChanges {
  const { displayName = "", role = Role.UNSPECIFIED, disabled = false } = user ?? {};
  const given = { display_name: displayName !== "", role: role !== Role.UNSPECIFIED, disabled };
  const paths = updateMask?.paths ?? changeable.filter((field) => given[field]);
  const unknown = paths.find((path) => !changeable.some((field) => field === path));
  if (unknown !== undefined) {
    throw invalidField("updateMask", `cannot change "${unknown}", only ${changeable.join(", ")}`);
  }
  return {
    ...(paths.includes("display_name") && { displayName }),
    ...(paths.includes("role") && { role: fromProtoRole(role, "user.role") }),
    ...(paths.includes("disabled") && { isDisabled: disabled }),
  };
}
