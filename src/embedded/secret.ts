import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";

/** A random word of 256 bits, safe in a URL, a header and a shell. */
export function randomSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Writes a file that only its owner can read, whole or not at all. Fails where there is one. */
export function createPrivateFile(path: string, content: string): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const file = openSync(draft, "wx", 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
    linkSync(draft, path);
  } finally {
    closeSync(file);
    rmSync(draft, { force: true });
  }
}

/** The secret that the file keeps; makes both the first time. */
export function keptSecret(path: string, make: () => string): string {
  try {
    createPrivateFile(path, `${make()}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const secret = readFileSync(path, "utf8").trim();
  if (secret === "") throw new Error(`${path} is empty: delete it, and a new secret is made`);
  return secret;
}
