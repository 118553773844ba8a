/** The keys that others verify our tokens with, where they look for them. */
import type { FastifyInstance } from "fastify";

/** Verifiers may keep the keys for an hour: a new one is shown a day before it signs. */
const cacheControl = "public, max-age=3600";

/** Adds `/.well-known/jwks.json`. https://www.rfc-editor.org/rfc/rfc7517#section-5 */
export function addJwksRoute(
  server: FastifyInstance,
  jwks: () => Promise<{ keys: readonly object[] }>,
): void {
  server.get("/.well-known/jwks.json", async (_request, reply) => {
    const { keys } = await jwks();
    return reply
      .header("cache-control", cacheControl)
      .type("application/jwk-set+json")
      .send({ keys });
  });
}
