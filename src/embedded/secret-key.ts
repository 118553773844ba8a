import { join } from "node:path";
import { keptSecret, randomSecret } from "./secret.ts";

/**
 * The server's secret of the embedded default: made once and kept in `<directory>/secret-key`,
 * which only its owner can read. Without it no API key that was made is known any more, and the
 * audit log no longer verifies.
 */
export function keptSecretKey(directory: string): string {
  return keptSecret(join(directory, "secret-key"), randomSecret);
}
