import { join } from "node:path";
import { keptSecret, randomSecret } from "./secret.ts";

/**
 * The administrator's API key of the embedded default: made once and kept in
 * `<directory>/admin-key`, which only its owner can read, so that printed
 * commands keep working from run to run. Delete the file to get another key.
 */
export function keptAdminKey(directory: string): string {
  return keptSecret(join(directory, "admin-key"), () => `tribe_${randomSecret()}`);
}
