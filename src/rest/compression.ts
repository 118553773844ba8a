/** Compresses responses for clients that accept it. */
import type { Transform } from "node:stream";
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  gzip,
  type BrotliOptions,
} from "node:zlib";

/** Content codings that responses may have. */
export type Coding = "br" | "gzip";

/** Fast rather than small: responses are compressed once and read once. */
const brotliOptions: BrotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

/** The best coding that an `Accept-Encoding` allows; br if it is as welcome as gzip. */
export function acceptedCoding(acceptEncoding: string | undefined): Coding | undefined {
  if (acceptEncoding === undefined) return undefined;
  const weights = new Map<string, number>();
  for (const item of acceptEncoding.toLowerCase().split(",")) {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim());
    const quality = parameters.find((parameter) => parameter.startsWith("q="));
    weights.set(name, quality === undefined ? 1 : Number(quality.slice(2)));
  }
  const weight = (coding: Coding): number => weights.get(coding) ?? weights.get("*") ?? 0;
  const brotli = weight("br");
  const gzip = weight("gzip");
  if (!(brotli > 0) && !(gzip > 0)) return undefined;
  return brotli >= gzip ? "br" : "gzip";
}

const compressibleType =
  /^(?:text\/|application\/(?:[^;]*\+)?(?:json|xml|javascript|x-ndjson|jsonl|yaml|wasm)\b|image\/svg\+xml)/i;

/** Whether content of a type becomes smaller by compression. */
export function isCompressible(contentType: string): boolean {
  return compressibleType.test(contentType);
}

/** Compresses a whole response. */
export function compress(coding: Coding, content: string | Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null, result: Buffer): void => {
      if (error === null) resolve(result);
      else reject(error);
    };
    if (coding === "br") brotliCompress(content, brotliOptions, settle);
    else gzip(content, settle);
  });
}

/** A stream that compresses what is written to it; `flush` sends what it has so far. */
export function createCompressor(coding: Coding): Transform & { flush(): void } {
  return coding === "br" ? createBrotliCompress(brotliOptions) : createGzip();
}
