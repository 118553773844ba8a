import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { statSync } from "node:fs";
import { dirname } from "node:path";

/** The unprivileged user that root runs PostgreSQL as: it refuses to run as root. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const userName = "tribe";

/**
 * The user for PostgreSQL: undefined (ourselves) unless we are root. Root gets the system
 * user `tribe`, made the first time; where none can be made, `nobody`.
 */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const user = findUser(userName) ?? (createUser() ? findUser(userName) : findUser("nobody"));
  if (user === undefined)
    throw new Error(
      "PostgreSQL does not run as root, and no other user could be made: " +
        `run \`useradd --system ${userName}\` first, or run Tribe as another user`,
    );
  return user;
}

function findUser(name: string): ServerUser | undefined {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    };
    const [uid, gid] = ["-u", "-g"].map((flag) =>
      Number(execFileSync("id", [flag, name], options)),
    );
    return uid && gid ? { name, uid, gid } : undefined;
  } catch {
    return undefined;
  }
}

function createUser(): boolean {
  const commands: [string, string[]][] = [
    ["useradd", ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]],
    ["adduser", ["-S", "-D", "-H"]], // BusyBox
  ];
  return commands.some(([command, flags]) => {
    try {
      execFileSync(command, [...flags, userName], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

/** Whether the user can enter the folder, that is, pass through all that it lies in. */
export function canEnter(user: ServerUser, directory: string): boolean {
  const { mode, uid, gid } = statSync(directory);
  const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  if ((mode & bit) === 0) return false;
  return directory === dirname(directory) || canEnter(user, dirname(directory));
}
