import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the folder that everything embedded lives in. Others may pass through it, as the
 * user must that root runs PostgreSQL as, but not look into it; every file in it is private.
 */
export function prepareDirectory(directory: string): void {
  if (makeDirectory(directory)) chmodSync(directory, process.getuid?.() === 0 ? 0o711 : 0o700);
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
