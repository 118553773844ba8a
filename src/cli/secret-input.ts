import { readFileSync } from "node:fs";
import { OperatorError } from "./usage-error.ts";

/**
 * A secret from a file, or from standard input for `-`; empty without either. Never from the
 * command line, which everybody on the machine can read.
 */
export async function readSecret(
  file: string | undefined,
  readInput: () => Promise<string>,
): Promise<string> {
  if (file === undefined) return "";
  const text = file === "-" ? await readInput() : readFile(file);
  // The end of the line that editors and echo add.
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw new OperatorError("The password is empty.");
  return secret;
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new OperatorError(`The password cannot be read: ${(error as Error).message}`);
  }
}
