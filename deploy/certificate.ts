/** A self-signed certificate for this machine, made without openssl: X.509 in DER, written out. */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** Tag, length and content of a DER value: https://en.wikipedia.org/wiki/X.690#DER_encoding. */
function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const sizes =
    length < 128
      ? [length]
      : length < 256
        ? [0x81, length]
        : [0x82, Math.floor(length / 256), length % 256];
  return Buffer.concat([Buffer.from([tag, ...sizes]), content]);
}
const sequence = (...contents: Uint8Array[]) => der(0x30, ...contents);
const identifier = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const pem = (label: string, content: Buffer) =>
  `-----BEGIN ${label}-----\n${content.toString("base64")}\n-----END ${label}-----\n`;

/**
 * Makes a key and a certificate (PEM) for localhost and 127.0.0.1 that is its own authority, for
 * development and tests. Valid from yesterday and for so many days.
 */
export function makeCertificate(days = 1): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = sequence(identifier("2a8648ce3d040302"));
  const commonName = sequence(identifier("550403"), der(0x0c, Buffer.from("Tribe on localhost")));
  const name = sequence(der(0x31, commonName));
  const time = (offsetMs: number) => {
    const text = new Date(Date.now() + offsetMs).toISOString().replace(/[-:T]|\.\d+/g, "");
    return der(0x18, Buffer.from(text));
  };
  const day = 86_400_000;
  const localhost = [
    der(0x82, Buffer.from("localhost")),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    der(0x87, Buffer.from([...Array<number>(15).fill(0), 1])),
  ];
  const alternativeNames = sequence(identifier("551d11"), der(0x04, sequence(...localhost)));
  const isAuthority = sequence(der(0x01, Buffer.from([0xff])));
  const basicConstraints = sequence(identifier("551d13"), der(0x04, isAuthority));
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    // Serial number: positive, and another one each time, or browsers refuse the second.
    der(0x02, Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    ecdsaWithSha256,
    name,
    sequence(time(-day), time(days * day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(alternativeNames, basicConstraints)),
  );
  const signature = sign("sha256", toBeSigned, privateKey);
  const certificate = sequence(toBeSigned, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
  return {
    certificate: pem("CERTIFICATE", certificate),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}
