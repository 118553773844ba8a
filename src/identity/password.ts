import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { DomainError } from "../errors.ts";

/** How much work a hash is. https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html */
export interface PasswordWork {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** Hashes and checks passwords with argon2id (RFC 9106), off the event loop. */
export interface Passwords {
  /** A PHC string. */
  hash(password: string): Promise<string>;
  /**
   * Whether it is the password of the hash. Without a hash it takes as long and is false, so
   * that nobody learns who has a password.
   */
  verify(password: string, passwordHash: string | undefined): Promise<boolean>;
  /** Whether the hash was made with other work than is asked for now. */
  needsRehash(passwordHash: string): boolean;
}

const derive = promisify(argon2);
const saltBytes = 16;
const tagBytes = 32;
/** More than this wait for a processor: whoever comes then is told to come back. */
const maxWaiting = 200;

/** Works with at most as many processors as there are, and so with a bounded memory. */
export function createPasswords(work: PasswordWork): Passwords {
  // The pool of threads has four; some of them are left to files and names.
  const maxUnderWay = Math.max(1, Math.min(3, availableParallelism()));
  const waiting: (() => void)[] = [];
  let underWay = 0;

  async function tagOf(
    password: string,
    salt: Buffer,
    { memory, passes, parallelism }: PasswordWork,
  ) {
    if (underWay >= maxUnderWay) {
      if (waiting.length >= maxWaiting) {
        throw new DomainError(
          "RESOURCE_EXHAUSTED",
          "TOO_MANY_SIGN_INS",
          "too many people are signing in; try again",
          { retryAfterSeconds: 2 },
        );
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    underWay += 1;
    try {
      // What looks the same is typed differently on different keyboards.
      const message = password.normalize("NFKC");
      return await derive("argon2id", {
        message,
        nonce: salt,
        memory,
        passes,
        parallelism,
        tagLength: tagBytes,
      });
    } finally {
      underWay -= 1;
      waiting.shift()?.();
    }
  }

  return {
    async hash(password) {
      const salt = randomBytes(saltBytes);
      return toPhc(work, salt, await tagOf(password, salt, work));
    },
    async verify(password, passwordHash) {
      const stored = passwordHash === undefined ? undefined : fromPhc(passwordHash);
      const salt = stored?.salt ?? Buffer.alloc(saltBytes);
      const tag = await tagOf(password, salt, stored?.work ?? work);
      const expected = stored?.tag ?? randomBytes(tagBytes);
      return timingSafeEqual(tag, expected) && stored !== undefined;
    },
    needsRehash(passwordHash) {
      const stored = fromPhc(passwordHash);
      return (
        stored.work.memory !== work.memory ||
        stored.work.passes !== work.passes ||
        stored.work.parallelism !== work.parallelism
      );
    },
  };
}

/** https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md */
function toPhc({ memory, passes, parallelism }: PasswordWork, salt: Buffer, tag: Buffer): string {
  const base64 = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

const phcPattern =
  /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function fromPhc(text: string): { work: PasswordWork; salt: Buffer; tag: Buffer } {
  const match = phcPattern.exec(text);
  if (match === null) throw new Error("a stored password hash is not argon2id in PHC format");
  const [, memory, passes, parallelism, salt = "", tag = ""] = match;
  return {
    work: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
}
