import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/** What the installation is: it shows in its keys, so that nobody takes one for the other. */
export type KeyEnvironment = "live" | "dev";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 256 random bits. */
const secretDigits = 43;
/** 32 bits of CRC. */
const checksumDigits = 6;

/**
 * An API key as secret scanners find it: `trb_`, the environment, 256 random bits and a checksum
 * in base 62, so that one which was cut or mistyped is refused without looking it up.
 */
export const apiKeyPattern: RegExp = /^trb_(?:live|dev)_[0-9A-Za-z]{49}$/;

/** Makes a key. */
export function makeApiKey(environment: KeyEnvironment): string {
  const body = `trb_${environment}_${randomDigits()}`;
  return body + checksum(body);
}

/** Makes a refresh token, which secret scanners find as well: `trr_`. */
export function makeRefreshToken(): string {
  const body = `trr_${randomDigits()}`;
  return body + checksum(body);
}

/** Whether a credential wants to be an API key. */
export function looksLikeApiKey(credential: string): boolean {
  return credential.startsWith("trb_");
}

/** Whether it could be one: its form and its checksum are right. */
export function isWholeApiKey(credential: string): boolean {
  if (!apiKeyPattern.test(credential)) return false;
  const body = credential.slice(0, -checksumDigits);
  return credential.endsWith(checksum(body));
}

/** What a key is recognised by: its first characters, which leave 232 bits unknown. */
export function apiKeyPrefix(key: string): string {
  return key.slice(0, key.lastIndexOf("_") + 5);
}

function randomDigits(): string {
  return toBase62(BigInt(`0x${randomBytes(32).toString("hex")}`), secretDigits);
}

function checksum(body: string): string {
  return toBase62(BigInt(crc32(body)), checksumDigits);
}

function toBase62(value: bigint, digits: number): string {
  let text = "";
  for (let rest = value; text.length < digits; rest /= 62n) {
    text = alphabet[Number(rest % 62n)] + text;
  }
  return text;
}
