import { accessSync, chmodSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the folder that everything embedded lives in. Others may pass through it, as the
 * user must that root runs PostgreSQL as, but not look into it; every file in it is private.
 */
export function prepareDirectory(directory: string): void {
  if (makeDirectory(directory)) chmodSync(directory, process.getuid?.() === 0 ? 0o711 : 0o700);
  else requireRights(directory);
}

/** What root made once, the same person without root's rights must not stumble over file by file. */
function requireRights(directory: string): void {
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Error(
      `TRIBE_DIR: ${directory} is there, but not for this user to write: start Tribe as the user ` +
        "that made it, or set TRIBE_DIR to another folder",
      { cause },
    );
  }
}

/** Whether it had to be made. Throws what stands in the way, in words that name the setting. */
function makeDirectory(directory: string): boolean {
  try {
    return makeMissing(directory);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isFile = code === "EEXIST" || code === "ENOTDIR";
    const reason = isFile ? "a part of its path is a file, not a folder" : message;
    throw new Error(
      `TRIBE_DIR: cannot make the folder ${directory}: ${reason}; set it to one that can be made`,
      { cause },
    );
  }
}

/** One by one: `recursive` never returns where a file system says ENOENT of a folder that is there, as /proc does. */
function makeMissing(directory: string): boolean {
  const parent = dirname(directory);
  if (parent !== directory && !existsSync(parent)) makeMissing(parent);
  try {
    mkdirSync(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST" && statSync(directory).isDirectory()) {
      return false;
    }
    throw error;
  }
}
