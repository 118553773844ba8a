import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A key that signs own tokens, when none is configured. */
export const SigningKeyEntity = defineEntity({
  name: "SigningKey",
  tableName: "signing_keys",
  properties: {
    /** RFC 7638 thumbprint; `kid` of the tokens. */
    id: p.text().primary(),
    /** As the JWKS shows it. */
    publicKey: p.json<Record<string, string>>(),
    /** PKCS #8, sealed with the server's secret. */
    privateKey: p.blob().hidden(),
    createTime: p.datetime(3).defaultRaw("now()"),
    /** Signs from then on: the JWKS shows it earlier, so that verifiers know it. */
    activeTime: p.datetime(3),
    /** Is forgotten then. */
    expireTime: p.datetime(3),
  },
});

/** A row of `signing_keys`. */
export type SigningKey = InferEntity<typeof SigningKeyEntity>;
