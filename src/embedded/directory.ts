import { chmodSync, mkdirSync } from "node:fs";

/**
 * Makes the folder that everything embedded lives in. Others may pass through it, as the
 * user must that root runs PostgreSQL as, but not look into it; every file in it is private.
 */
export function prepareDirectory(directory: string): void {
  const made = makeDirectory(directory);
  if (made !== undefined) chmodSync(directory, process.getuid?.() === 0 ? 0o711 : 0o700);
}

/** The first folder that had to be made. Throws what stands in the way, in words that name the setting. */
function makeDirectory(directory: string): string | undefined {
  try {
    return mkdirSync(directory, { recursive: true });
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
