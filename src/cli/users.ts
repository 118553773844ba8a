import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Role, type User, UserSchema } from "../../gen/tribe/v1/identity_pb.js";
import { connectionOptions } from "./cli-options.ts";
import { type Command, type CommandContext, requireId, wholeNumber } from "./command.ts";
import { showNewKey } from "./keys.ts";
import { toJsonList } from "./output.ts";
import { readSecret } from "./secret-input.ts";
import { UsageError } from "./usage-error.ts";

const roles: Readonly<Record<string, Role>> = {
  viewer: Role.VIEWER,
  user: Role.USER,
  service: Role.SERVICE,
  admin: Role.ADMIN,
};

/** Users, as operators handle them. */
export const userCommands: readonly Command[] = [
  {
    name: "users create",
    summary: "Make a user, and a key for them if asked for.",
    options: {
      email: { type: "string", value: "EMAIL", help: "For signing in; unique." },
      name: { type: "string", value: "NAME", help: "What to call them." },
      role: {
        type: "string",
        value: "ROLE",
        help: "viewer, user, service or admin. Default: user.",
      },
      admin: { type: "boolean", help: "An administrator with a key: --role admin --with-key." },
      "with-key": { type: "boolean", help: "Also make an API key, which is shown once." },
      "password-file": {
        type: "string",
        value: "FILE",
        help: "File of the password, at least 12 characters; - reads standard input.",
      },
      ...connectionOptions,
    },
    run: createUser,
  },
  {
    name: "users list",
    summary: "List users, the newest first.",
    options: {
      limit: { type: "string", value: "COUNT", help: "How many at the most. Default: 100." },
      ...connectionOptions,
    },
    run: listUsers,
  },
  {
    name: "users update",
    positionals: ["ID"],
    summary: "Change a user's name or role, or disable them.",
    options: {
      name: { type: "string", value: "NAME", help: "What to call them." },
      role: { type: "string", value: "ROLE", help: "viewer, user, service or admin." },
      disable: { type: "boolean", help: "Accept nothing of theirs any more." },
      enable: { type: "boolean", help: "Accept them again." },
      ...connectionOptions,
    },
    run: updateUser,
  },
  {
    name: "users export",
    positionals: ["ID"],
    summary: "Write everything that is stored about a user, as JSON lines.",
    options: connectionOptions,
    run: exportUser,
  },
  {
    name: "users delete",
    positionals: ["ID"],
    summary: "Erase a user with everything that is theirs.",
    options: {
      yes: { type: "boolean", help: "Required: it cannot be undone." },
      ...connectionOptions,
    },
    run: deleteUser,
  },
];

async function createUser({ given, output, readInput, connect }: CommandContext) {
  if (given.has("admin") && given.text("role") !== undefined) {
    throw new UsageError("--admin and --role are both given: leave one of them out");
  }
  const role = given.has("admin") ? Role.ADMIN : toRole(given.text("role") ?? "user");
  const password = await readSecret(given.text("password-file"), readInput);
  const email = given.text("email") ?? "";
  const displayName = given.text("name") ?? email;
  const { identity } = await connect();
  const { user } = await identity.createUser({ email, displayName, role, password });
  if (user === undefined) throw new Error("the service named no user");
  const key =
    given.has("with-key") || given.has("admin")
      ? await identity.createApiKey({ userId: user.userId, name: "command line" })
      : undefined;
  if (output.isJson) {
    output.json({
      user: toJson(UserSchema, user, { alwaysEmitImplicit: true }),
      ...(key && { apiKeyId: key.apiKey?.apiKeyId, key: key.secret }),
    });
    return 0;
  }
  output.note(`Made ${roleName(user.role)} ${user.userId}.`);
  if (key !== undefined) showNewKey(output, key);
  else output.line(user.userId);
  return 0;
}

async function listUsers({ given, output, connect }: CommandContext) {
  const limit = wholeNumber(given, "limit", 1, 1_000_000) ?? 100;
  const { identity } = await connect();
  const users: User[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(200, limit - users.length);
    const page = await identity.listUsers({ pageSize, pageToken });
    users.push(...page.users);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && users.length < limit);
  if (output.isJson) output.json(toJsonList(UserSchema, users));
  else output.table(["ID", "ROLE", "STATE", "MADE", "E-MAIL", "NAME"], users.map(toRow));
  if (pageToken !== "") output.note(`There are more: raise --limit above ${limit}.`);
  return 0;
}

async function updateUser({ given, output, connect }: CommandContext) {
  const userId = requireId(given.positionals[0], "user's id");
  if (given.has("disable") && given.has("enable")) {
    throw new UsageError("--disable and --enable are both given: leave one of them out");
  }
  const changes = {
    ...(given.text("name") !== undefined && { displayName: given.text("name") ?? "" }),
    ...(given.text("role") !== undefined && { role: toRole(given.text("role") ?? "") }),
    ...(given.has("disable") && { disabled: true }),
    ...(given.has("enable") && { disabled: false }),
  };
  const paths = Object.keys(changes).map((name) =>
    name === "displayName" ? "display_name" : name,
  );
  if (paths.length === 0)
    throw new UsageError("nothing to change: give --name, --role, --disable or --enable");
  const { identity } = await connect();
  const { user } = await identity.updateUser({
    user: { userId, ...changes },
    updateMask: { paths },
  });
  if (user === undefined) throw new Error("the service named no user");
  if (output.isJson) output.json(toJson(UserSchema, user, { alwaysEmitImplicit: true }));
  else output.table(["ID", "ROLE", "STATE", "MADE", "E-MAIL", "NAME"], [toRow(user)]);
  return 0;
}

async function exportUser({ given, output, connect }: CommandContext) {
  const userId = requireId(given.positionals[0], "user's id");
  const { identity } = await connect();
  const decoder = new TextDecoder();
  // Pieces end anywhere, lines as well as characters.
  let rest = "";
  for await (const { data } of identity.exportUserData({ userId })) {
    const lines = (rest + decoder.decode(data, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) output.line(line);
  }
  return 0;
}

async function deleteUser({ given, output, connect }: CommandContext) {
  const userId = requireId(given.positionals[0], "user's id");
  if (!given.has("yes")) {
    throw new UsageError(`erasing ${userId} cannot be undone: add --yes to mean it`);
  }
  const { identity } = await connect();
  await identity.deleteUser({ userId });
  if (output.isJson) output.json({ userId, erased: true });
  else output.note(`User ${userId} is erased.`);
  return 0;
}

function toRow(user: User): string[] {
  return [
    user.userId,
    roleName(user.role),
    user.disabled ? "disabled" : "active",
    user.createTime ? timestampDate(user.createTime).toISOString() : "",
    user.email,
    user.displayName,
  ];
}

function roleName(role: Role): string {
  return Object.keys(roles).find((name) => roles[name] === role) ?? "unknown";
}

function toRole(name: string): Role {
  const role = roles[name];
  if (role !== undefined) return role;
  throw new UsageError(`"${name}" is no role; there are ${Object.keys(roles).join(", ")}`);
}
