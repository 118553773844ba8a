/** Files that browsers load: named by what is in them, squeezed once, kept in memory. */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import { acceptedCoding, type Coding, isCompressible } from "../rest/compression.ts";

/** A file as it is sent. */
export interface Asset {
  readonly type: string;
  /** Sixteen hexadecimal digits that change with the content. */
  readonly hash: string;
  readonly plain: Buffer;
  /** Its form in a coding, squeezed at the first call; undefined if that would gain nothing. */
  coded(coding: Coding): Promise<Buffer> | undefined;
}

/**
 * How long a file may be kept by browsers and by caches between: for a year without asking, because
 * its name changes with its content; or asked about each time, and answered with 304.
 */
export type Lifetime = "immutable" | "asked";

const cacheControl: Record<Lifetime, string> = {
  immutable: "public, max-age=31536000, immutable",
  asked: "no-cache",
};

const squeeze: Record<Coding, (plain: Buffer) => Promise<Buffer>> = {
  br: (plain) =>
    promisify(brotliCompress)(plain, {
      params: {
        // Of 11: the last tenth of the size costs twenty times the time.
        [constants.BROTLI_PARAM_QUALITY]: 9,
        [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
      },
    }),
  gzip: (plain) => promisify(gzip)(plain, { level: constants.Z_BEST_COMPRESSION }),
};

/** Names a content by its hash, and keeps it. */
export function createAsset(type: string, plain: Buffer): Asset {
  const hash = createHash("sha256").update(plain).digest("hex").slice(0, 16);
  const forms: Partial<Record<Coding, Promise<Buffer>>> = {};
  const coded = (coding: Coding) =>
    isCompressible(type) ? (forms[coding] ??= squeeze[coding](plain)) : undefined;
  return { type, hash, plain, coded };
}

/** `name.hash.extension`, for an asset that may be kept for a year. */
export function hashedName(name: string, { hash }: Asset): string {
  const dot = name.lastIndexOf(".");
  return `${name.slice(0, dot)}.${hash}${name.slice(dot)}`;
}

/** Answers with an asset, in the best coding that the caller accepts, or with 304. */
export async function sendAsset(
  asset: Asset,
  lifetime: Lifetime,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Weak: the same content has several forms.
  const etag = `W/"${asset.hash}"`;
  reply.headers({
    "cache-control": cacheControl[lifetime],
    etag,
    "referrer-policy": "no-referrer",
    vary: "accept-encoding",
    "x-content-type-options": "nosniff",
  });
  if (request.headers["if-none-match"]?.includes(etag)) return reply.code(304).send();
  const accepted = acceptedCoding(request.headers["accept-encoding"]);
  const coded = accepted === undefined ? undefined : await asset.coded(accepted);
  if (coded !== undefined) reply.header("content-encoding", accepted);
  return reply.type(asset.type).send(coded ?? asset.plain);
}
