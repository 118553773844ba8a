/** Compiles .proto texts with their comments and documents their services. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  createDocument,
  type Document,
  type DocumentOptions,
  type Operation,
} from "../../../src/openapi/index.ts";

const root = join(import.meta.dirname, "../../..");
const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
const imports = [
  "buf/validate/validate",
  "google/api/annotations",
  "google/api/httpbody",
  "google/rpc/error_details",
  "tribe/rest/v1/stream",
  ...["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"].map(
    (name) => `google/protobuf/${name}`,
  ),
];

/** Documents all services of a file in package `test.v1`. */
export function documentOf(
  body: string,
  options: Partial<Omit<DocumentOptions, "services" | "errorDetails">> = {},
): Document {
  const folder = mkdtempSync(join(tmpdir(), "openapi-proto-"));
  try {
    for (const owner of ["buf", "google", "tribe/rest"]) {
      cpSync(join(root, "proto", owner), join(folder, owner), { recursive: true });
    }
    const used = imports.map((path) => `import "${path}.proto";\n`).join("");
    writeFileSync(
      join(folder, "test.proto"),
      `syntax = "proto3";\npackage test.v1;\n${used}${body}`,
    );
    execFileSync(process.execPath, [buf, "build", folder, "-o", join(folder, "out.binpb")], {
      stdio: ["ignore", "ignore", "pipe"],
      encoding: "utf8",
    });
    const bytes = readFileSync(join(folder, "out.binpb"));
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
    const services = [...registry].filter((desc) => desc.kind === "service");
    const detail = registry.getMessage("google.rpc.ErrorInfo");
    return createDocument({
      info: { title: "Test", version: "1" },
      ...options,
      services,
      errorDetails: detail ? [detail] : [],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An operation, as `GET /v1/things`. Throws if there is none. */
export function operationOf(document: Document, place: string): Operation {
  const [method = "", path = ""] = place.split(" ");
  const operation = document.paths[path]?.[method.toLowerCase()];
  if (operation === undefined) {
    throw new Error(`no ${place} among ${Object.keys(document.paths).join(", ")}`);
  }
  return operation as Operation;
}
