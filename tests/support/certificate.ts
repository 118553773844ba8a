/** A self-signed certificate for 127.0.0.1, made without openssl: X.509 in DER, written out. */
import { generateKeyPairSync, sign } from "node:crypto";

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

/** Makes a key and a certificate (PEM) that is its own authority and is valid for a day. */
export function makeCertificate(): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = sequence(identifier("2a8648ce3d040302"));
  const commonName = sequence(identifier("550403"), der(0x0c, Buffer.from("Tribe's tests")));
  const name = sequence(der(0x31, commonName));
  const time = (offsetMs: number) => {
    const text = new Date(Date.now() + offsetMs).toISOString().replace(/[-:T]|\.\d+/g, "");
    return der(0x18, Buffer.from(text));
  };
  const day = 86_400_000;
  const loopback = sequence(der(0x87, Buffer.from([127, 0, 0, 1])));
  const alternativeNames = sequence(identifier("551d11"), der(0x04, loopback));
  const isAuthority = sequence(der(0x01, Buffer.from([0xff])));
  const basicConstraints = sequence(identifier("551d13"), der(0x04, isAuthority));
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1])), // serial number
    ecdsaWithSha256,
    name,
    sequence(time(-day), time(day)),
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
