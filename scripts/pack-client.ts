/**
 * Packs the typed clients for other projects: the package of the repository brings along all that the
 * service needs, a database included. `npm run pack:client -- [FOLDER]` leaves `tribe-VERSION.tgz`
 * in the folder, by default this one.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

interface Package {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly type: string;
  readonly exports: object;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, "..");
const { name, version, description, license, type, exports, files, dependencies } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
) as Package;

/** The same major version, from the one that the code was generated and tested with. */
const range = (dependency: string) => ({ [dependency]: `^${dependencies[dependency]}` });

const manifest = {
  name,
  version,
  description: `Typed clients of Tribe. ${description}`,
  license,
  type,
  exports,
  engines: { node: ">=20" },
  dependencies: range("@bufbuild/protobuf"),
  // A second copy of grpc-js would not know the credentials that the first has made.
  peerDependencies: range("@grpc/grpc-js"),
  peerDependenciesMeta: { "@grpc/grpc-js": { optional: true } },
};

const folder = mkdtempSync(join(tmpdir(), "tribe-client-"));
try {
  for (const part of files) cpSync(join(root, part), join(folder, part), { recursive: true });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const destination = resolve(process.argv[2] ?? ".");
  execFileSync("npm", ["pack", "--pack-destination", destination], {
    cwd: folder,
    stdio: ["ignore", "inherit", "ignore"],
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
