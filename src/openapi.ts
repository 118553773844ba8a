/** `npm run openapi` writes docs/openapi.json, the API for those who read no .proto files. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  createFileRegistry,
  fromBinary,
  getOption,
  type DescMethod,
  type FileRegistry,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { policy } from "../gen/tribe/v1/policy_pb.js";
import { examples } from "./openapi-examples.ts";
import { createDocument, type MethodNotes, type Parameter } from "./openapi/index.ts";

const root = new URL("../", import.meta.url);
/** Where the document is kept. */
export const documentFile = new URL("docs/openapi.json", root);

const description = `
Tribe is an AI chat backend. Whatever is here can also be called by gRPC, gRPC-Web and Connect.

**Ids** are UUIDs, version 7. **Money** is in millionths of a US dollar. **Lists** come in pages:
send \`nextPageToken\` as \`pageToken\` for the next one.

**Errors** are \`google.rpc.Status\` with details; \`ErrorInfo.reason\` is for programs,
\`BadRequest\` names the fields that are wrong.

**Deadlines** are set with \`x-server-timeout\`, in seconds. \`x-request-id\` is taken over, or made.

**Numbers of 64 bits** are strings, and fields that have their default value are left out.
`;

/** These come first; services that are not named follow by their names. */
const firstServices = ["ChatService", "ConversationService", "UsageService", "IdentityService"];

const errorDetails = ["ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure", "RequestInfo"];

/** The document as it should be kept: the same for the same contracts and version. */
export async function describeApi(): Promise<string> {
  const registry = await compileContracts();
  const { version } = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
    version: string;
  };
  const document = createDocument({
    info: {
      title: "Tribe",
      version,
      description: description.trim(),
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The server that shows this" }],
    services: servicesOf(registry),
    errorDetails: errorDetails.flatMap((name) => registry.getMessage(`google.rpc.${name}`) ?? []),
    responseHeaders: {
      "x-request-id": {
        description: "Names the request in logs and audit events.",
        schema: { type: "string" },
      },
    },
    securitySchemes: {
      bearer: {
        type: "http",
        scheme: "bearer",
        description: "An API key, or the access token of SignIn.",
      },
      apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "An API key." },
    },
    notesOn,
  });
  return `${JSON.stringify(document, null, 2)}\n`;
}

const idempotencyKey: Parameter = {
  name: "Idempotency-Key",
  in: "header",
  description: "Stands for `idempotencyKey`: makes a retry safe.",
  schema: { type: "string", maxLength: 256 },
};

/** What `policy` says of a method, and its example. */
function notesOn(method: DescMethod): MethodNotes {
  const { public: isPublic, permission } = getOption(method, policy);
  const example = examples[`${method.parent.typeName}.${method.name}`];
  return {
    ...(example === undefined ? {} : { example }),
    ...(method.input.field["idempotencyKey"] === undefined ? {} : { parameters: [idempotencyKey] }),
    ...(isPublic
      ? { security: [] }
      : {
          security: [{ bearer: [] }, { apiKey: [] }],
          description: `Needs the permission \`${permission}\`.`,
          extensions: { "x-permission": permission },
        }),
  };
}

function servicesOf(registry: FileRegistry) {
  const rank = (name: string) => (firstServices.indexOf(name) + 1 || Infinity) as number;
  return [...registry]
    .filter((desc) => desc.kind === "service")
    .filter((service) => service.typeName.startsWith("tribe."))
    .sort((one, other) => {
      const ranks = rank(one.name) === rank(other.name) ? 0 : rank(one.name) - rank(other.name);
      return ranks || (one.name < other.name ? -1 : 1);
    });
}

/** With comments, which `gen` lacks. */
async function compileContracts(): Promise<FileRegistry> {
  const buf = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [buf, "build", "-o", "-#format=binpb"],
    {
      cwd: fileURLToPath(root),
      encoding: "buffer",
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout));
}

if (import.meta.main) {
  await writeFile(documentFile, await describeApi());
  process.stdout.write(`Wrote ${fileURLToPath(documentFile)}.\n`);
}
