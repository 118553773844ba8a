import { toJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ApiKey, ApiKeySchema } from "../../gen/tribe/v1/identity_pb.js";
import { connectionOptions } from "./cli-options.ts";
import {
  type Command,
  type CommandContext,
  durationSeconds,
  requireId,
  wholeNumber,
} from "./command.ts";
import { type Output, toJsonList } from "./output.ts";

/** API keys, as operators handle them. */
export const keyCommands: readonly Command[] = [
  {
    name: "keys create",
    summary: "Make an API key. It is shown once.",
    options: {
      name: { type: "string", value: "NAME", help: "What it is for. Default: command line." },
      user: { type: "string", value: "ID", help: "Whose it is. Default: who asks." },
      scope: {
        type: "string",
        multiple: true,
        value: "PERMISSION",
        help: "What it may do, for example chat:write; may be repeated. Default: all that its user may.",
      },
      expires: { type: "string", value: "TIME", help: "How long it works, for example 90d." },
      "requests-per-minute": { type: "string", value: "COUNT", help: "A limit of its own." },
      "tokens-per-minute": { type: "string", value: "COUNT", help: "A limit of its own." },
      ...connectionOptions,
    },
    run: createKey,
  },
  {
    name: "keys list",
    summary: "List a user's API keys, the newest first.",
    options: {
      user: { type: "string", value: "ID", help: "Whose. Default: who asks." },
      ...connectionOptions,
    },
    run: listKeys,
  },
  {
    name: "keys rotate",
    positionals: ["ID"],
    summary: "Make the successor of an API key, which is shown once.",
    options: {
      overlap: {
        type: "string",
        value: "TIME",
        help: "How long the old key works on, for example 24h (the default) or 0s.",
      },
      ...connectionOptions,
    },
    run: rotateKey,
  },
  {
    name: "keys revoke",
    positionals: ["ID"],
    summary: "End an API key, everywhere.",
    options: connectionOptions,
    run: revokeKey,
  },
];

/** A key that was just made, with the key itself. */
interface NewKey {
  apiKey?: ApiKey | undefined;
  secret: string;
}

/** Shows a key this once. The key alone is on standard output, for pipes. */
export function showNewKey(output: Output, made: NewKey): void {
  output.note(`Key ${made.apiKey?.apiKeyId ?? ""}; it is shown this once:`);
  output.line(made.secret);
}

async function createKey({ given, output, connect }: CommandContext) {
  const seconds = durationSeconds(given, "expires");
  const request = {
    name: given.text("name") ?? "command line",
    userId: given.text("user") === undefined ? "" : requireId(given.text("user"), "user's id"),
    scopes: [...given.texts("scope")],
    limits: {
      requestsPerMinute: wholeNumber(given, "requests-per-minute", 1, 999_999_999) ?? 0,
      tokensPerMinute: wholeNumber(given, "tokens-per-minute", 1, 999_999_999) ?? 0,
    },
    ...(seconds !== undefined && {
      expireTime: timestampFromDate(new Date(Date.now() + seconds * 1000)),
    }),
  };
  const { identity } = await connect();
  return showKey(output, await identity.createApiKey(request));
}

async function rotateKey({ given, output, connect }: CommandContext) {
  const apiKeyId = requireId(given.positionals[0], "key's id");
  const seconds = durationSeconds(given, "overlap");
  const { identity } = await connect();
  const rotated = await identity.rotateApiKey({
    apiKeyId,
    ...(seconds !== undefined && { overlap: durationFromMs(seconds * 1000) }),
  });
  return showKey(output, rotated);
}

async function revokeKey({ given, output, connect }: CommandContext) {
  const apiKeyId = requireId(given.positionals[0], "key's id");
  const { identity } = await connect();
  await identity.revokeApiKey({ apiKeyId });
  if (output.isJson) output.json({ apiKeyId, revoked: true });
  else output.note(`Key ${apiKeyId} is revoked.`);
  return 0;
}

async function listKeys({ given, output, connect }: CommandContext) {
  const userId = given.text("user") === undefined ? "" : requireId(given.text("user"), "user's id");
  const { identity } = await connect();
  const keys: ApiKey[] = [];
  let pageToken = "";
  do {
    const page = await identity.listApiKeys({ userId, pageSize: 200, pageToken });
    keys.push(...page.apiKeys);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  if (output.isJson) output.json(toJsonList(ApiKeySchema, keys));
  else {
    const headings = ["ID", "KEY", "STATE", "LAST USED", "EXPIRES", "SCOPES", "NAME"];
    output.table(headings, keys.map(toRow));
  }
  return 0;
}

function showKey(output: Output, made: NewKey): number {
  if (made.apiKey === undefined) throw new Error("the service named no key");
  if (output.isJson) {
    const apiKey = toJson(ApiKeySchema, made.apiKey, { alwaysEmitImplicit: true });
    output.json({ apiKey, key: made.secret });
  } else showNewKey(output, made);
  return 0;
}

function toRow(key: ApiKey): string[] {
  const expires = key.expireTime && timestampDate(key.expireTime);
  return [
    key.apiKeyId,
    `${key.prefix}…`,
    key.revokeTime ? "revoked" : expires && expires.getTime() <= Date.now() ? "expired" : "active",
    key.lastUsedTime ? timestampDate(key.lastUsedTime).toISOString().slice(0, 16) : "never",
    expires?.toISOString() ?? "never",
    key.scopes.join(",") || "all",
    key.name,
  ];
}
