/** Keeps secrets out of the log: by the names of their keys, at any depth. */

const secretKey =
  /^(?:authorization|proxyauthorization|.*apikey|cookie|setcookie|.*password.*|.*passwd.*|.*secret.*|.*credential.*|.*privatekey.*|(?:access|refresh|id|auth|bearer|session)?token|jwt|dsn|.*databaseurl.*|.*redisurl.*)$/;

/** Names that were looked at; the same few come with every line. */
const known = new Map<string, boolean>();
const knownLimit = 2000;

function isSecret(key: string): boolean {
  let secret = known.get(key);
  if (secret === undefined) {
    secret = secretKey.test(key.toLowerCase().replace(/[^a-z0-9]/g, ""));
    if (known.size < knownLimit) known.set(key, secret);
  }
  return secret;
}

const censor = "[redacted]";
const maxDepth = 8;

/** Gives the object itself, or a copy without its secrets if it holds any. */
export function redact<T extends object>(value: T, depth = 0): T {
  let copy: Record<string, unknown> | undefined;
  const entries = value as Record<string, unknown>;
  for (const key in entries) {
    const entry = entries[key];
    let safe = entry;
    if (isSecret(key)) safe = entry === undefined ? entry : censor;
    else if (typeof entry === "object" && entry !== null && !(entry instanceof Error)) {
      safe = depth < maxDepth ? redact(entry, depth + 1) : censor;
    }
    if (safe !== entry) {
      copy ??= (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
      copy[key] = safe;
    }
  }
  return (copy ?? value) as T;
}
