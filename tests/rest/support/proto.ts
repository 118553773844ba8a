/** Compiles .proto texts when a test runs, as a stranger's services would arrive. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  createFileRegistry,
  fromBinary,
  type DescMessage,
  type DescService,
  type FileRegistry,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const root = join(import.meta.dirname, "../../..");
const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
const imports = [
  "google/api/annotations.proto",
  "google/api/http.proto",
  "google/api/httpbody.proto",
  "google/rpc/error_details.proto",
  "tribe/rest/v1/stream.proto",
];

/**
 * Compiles one file of package `test.v1` (proto3 unless it says otherwise) by
 * way of a FileDescriptorSet. Imports of google/api and the stream option are there.
 */
export function compileProto(body: string): FileRegistry {
  const folder = mkdtempSync(join(tmpdir(), "rest-proto-"));
  try {
    for (const path of imports) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      cpSync(join(root, "proto", path), join(folder, path));
    }
    const header = /^(syntax|edition) /m.test(body) ? "" : `syntax = "proto3";\n`;
    writeFileSync(
      join(folder, "test.proto"),
      `${header}package test.v1;\n${importsOf(body)}${body}`,
    );
    execFileSync(process.execPath, [buf, "build", folder, "-o", join(folder, "out.binpb")], {
      stdio: ["ignore", "ignore", "pipe"],
      encoding: "utf8",
    });
    const bytes = readFileSync(join(folder, "out.binpb"));
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function importsOf(body: string): string {
  const files = ["google/api/annotations.proto"];
  if (body.includes("google.api.HttpBody")) files.push("google/api/httpbody.proto");
  if (body.includes("tribe.rest.v1.stream")) files.push("tribe/rest/v1/stream.proto");
  for (const name of [
    "any",
    "duration",
    "empty",
    "field_mask",
    "struct",
    "timestamp",
    "wrappers",
  ]) {
    files.push(`google/protobuf/${name}.proto`);
  }
  return files.map((file) => `import "${file}";\n`).join("");
}

/** The service of a name in package `test.v1`. */
export function serviceOf(registry: FileRegistry, name = "TestService"): DescService {
  const service = registry.getService(`test.v1.${name}`);
  if (service === undefined) throw new Error(`no service ${name}`);
  return service;
}

/** The message type of a name in package `test.v1`. */
export function messageOf(registry: FileRegistry, name: string): DescMessage {
  const message = registry.getMessage(`test.v1.${name}`);
  if (message === undefined) throw new Error(`no message ${name}`);
  return message;
}
