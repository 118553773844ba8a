import { createPrivateKey, X509Certificate } from "node:crypto";
import type { ConfigReader } from "./config-reader.ts";

/** How the other side of a TLS connection is trusted, and who we are to it. */
export interface TlsTrust {
  /** PEM: authorities to trust instead of those that Node brings along. */
  readonly ca: string | undefined;
  /** PEM: our certificate, for servers that ask for one. */
  readonly certificate: string | undefined;
  /** PEM: its private key. */
  readonly key: string | undefined;
}

/** Reads it for one kind of server; undefined when nothing is said. */
export function readTlsTrust(
  reader: ConfigReader,
  kind: "DATABASE" | "REDIS",
): TlsTrust | undefined {
  const [caName, certificateName, keyName] = [
    `${kind}_CA`,
    `${kind}_CERTIFICATE`,
    `${kind}_CERTIFICATE_KEY`,
  ] as const;
  const [ca, certificate, key] = [caName, certificateName, keyName].map((name) =>
    // One line, as an environment may have it, has \n for the ends of lines.
    reader.text(name)?.replaceAll(String.raw`\n`, "\n"),
  );
  if (ca === undefined && certificate === undefined && key === undefined) return undefined;
  if (ca !== undefined && readCertificate(ca) === undefined)
    reader.fault(caName, "must be a PEM certificate, or several");
  const own = certificate === undefined ? undefined : readCertificate(certificate);
  if (certificate !== undefined && own === undefined)
    reader.fault(certificateName, "must be a PEM certificate, or several");
  if ((certificate === undefined) !== (key === undefined))
    reader.fault(certificateName, `and ${keyName} belong together: set both or neither`);
  if (key !== undefined && !isKeyOf(key, own))
    reader.fault(keyName, `must be the PEM private key of ${certificateName}, without a password`);
  return { ca, certificate, key };
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function isKeyOf(pem: string, certificate: X509Certificate | undefined): boolean {
  try {
    const key = createPrivateKey(pem);
    return certificate === undefined || certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}
