import { chmodSync, mkdirSync } from "node:fs";

/**
 * Makes the folder that everything embedded lives in. Others may pass through it, as the
 * user must that root runs PostgreSQL as, but not look into it; every file in it is private.
 */
export function prepareDirectory(directory: string): void {
  const made = mkdirSync(directory, { recursive: true });
  if (made !== undefined) chmodSync(directory, process.getuid?.() === 0 ? 0o711 : 0o700);
}
