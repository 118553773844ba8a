/** What requests are spoilt with: the edges of every rule, and things that broke other servers. */
import { brotliCompressSync, gzipSync } from "node:zlib";

export const methods =
  "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND LOCK SEARCH QUERY CONNECT get FOO".split(
    " ",
  );

/** Put anywhere into a path or query. */
export const urlPieces = [
  ..."% %2 %2F %2f %ff %C3 %c3%a9 %00 %zz %E2%82 // / : :stream :export %3A ? & = + # .. /../ * ** { }".split(
    " ",
  ),
  "é",
  "\t",
  " ",
  "\u0000",
  "/".repeat(40),
  "x".repeat(3_000),
  "a=b&a=b",
];

/** Names of query parameters that every service may be asked for. */
export const parameterNames =
  "__proto__ constructor toString hasOwnProperty.call a . .. a. .a etag pageSize page_size pageToken name " +
  "query updateMask update_mask utm_source leaf leaf.id leaf.leaf.leaf.tags leaf.leaf choiceText choiceNumber " +
  "counts[a] struct.a value time.seconds mask.paths wrapped.value tags tags[0] format role";

export const values = [
  "",
  ..."0 -0 1 -1 1.0 1e3 1e400 NaN Infinity -Infinity 0x10 2147483648 9223372036854775808 true TRUE null".split(
    " ",
  ),
  ..."aGVsbG8= -_-_ === 2026-01-31T12:00:00Z 9999-99-99T99:99:99Z 1.5s -1s 1e9s name,longTitle a..b COLOR_RED 7".split(
    " ",
  ),
  ..."%ff %00 %E2%82 %2F ROLE_USER 0198c0de-0000-7000-8000-000000000000".split(" "),
  "9".repeat(400),
  "x".repeat(5_000),
];

/** Headers, one of which is added or takes the place of another. */
export const headers: readonly (readonly [string, string])[] = [
  ...variants(
    "content-type",
    "application/json|application/json; charset=utf-8|application/json;charset=latin1|text/plain|" +
      "application/x-www-form-urlencoded|multipart/form-data; boundary=x|application/octet-stream|" +
      "application/problem+json|application/x-ndjson|application/grpc|application/proto|;|a/b;c|é|application/json,text/html",
  ),
  ...variants(
    "accept",
    "text/event-stream|application/x-ndjson|text/event-stream;q=0|*/*|text/event-stream;q=x|,,,",
  ),
  ...variants(
    "accept-encoding",
    "gzip|br|gzip;q=0, br;q=0|*|identity;q=0|deflate|br;q=nan|gzip, br, zstd",
  ),
  ...variants("content-encoding", "gzip|br|deflate|zstd|identity|GZIP|gzip, br|x|x-gzip"),
  ...variants("if-match", `*|"a"|W/"a"|"a", "b"|a|"|"\u00e9"|,|""`),
  ...variants("if-none-match", `*|"a"|W/"a"|a|"|""|"a""b"`),
  ...variants("last-event-id", "0|1|-1|99999999999999999999|abc|1.5|\u00e9"),
  ...variants("connect-timeout-ms", "1000|00000000001|-1|x|99999999999"),
  ...variants("grpc-timeout", "1S|1|S|999999999S|99999999H|1x"),
  ...variants("x-server-timeout", "1|1.5|-1|1e3|x|9999999999.999999999"),
  ...variants("origin", "https://app.example.com|null|x"),
  ...variants("access-control-request-method", "POST|x"),
  ...variants("access-control-request-headers", "content-type|x, y, \u00e9"),
  ...variants("expect", "100-continue|x"),
  ...variants("transfer-encoding", "chunked|gzip, chunked|identity|x"),
  ...variants("content-length", "0|1|5|99999999999|-1|x|1, 1"),
  ...variants("connection", "keep-alive|upgrade|close, te|x"),
  ...variants("upgrade", "websocket|h2c"),
  ...variants("host", "|x|[::1|a b|127.0.0.1:99999"),
  ...variants("range", "bytes=0-1|x"),
  ...variants("x-request-id", "abc|\u00e9|x x"),
  ...variants("idempotency-key", "k1|\u00e9"),
  ...variants("authorization", "Bearer|Bearer x|Basic eDp5|Bearer a.b.c|\u00e9"),
  ...variants("cookie", "a=b|=|tribe_session=x; tribe_session=y|\u00e9"),
  ...variants("x-http-method-override", "DELETE"),
  ["x-large", "x".repeat(9_000)],
  ["x-larger", "x".repeat(40_000)],
];

/** Whole bodies. */
export const bodies: readonly Buffer[] = [
  ...[
    ...'|null|[]|{}| {} |1|-|tru|true|nul|{|}|[|]|"x"|"|"\\u12|"\\ud800"|{"a":1,"a":2}|{,}|[,]|1e999'.split(
      "|",
    ),
    '{"__proto__":{"x":1},"constructor":1}',
    '{"name":"a","name":"b"}',
    '{"leaf":{"id":"a"},"leaf":{"id":"b"}}',
    '{"name":1}',
    '{"choiceText":"a","choice_number":1}',
    '{"content":[{"text":"Hello"}]}',
    '{"content":[{"text":"Hello"},{"text":1}],"unknown":true}',
    '{"name":"\\u0000"}',
    '{"number":1e400,"big":123456789012345678901234567890,"ratio":-0}',
    '{"any":{"@type":"type.googleapis.com/nothing","a":1}}',
    '{"struct":{"a":[[[[{}]]]]},"value":null,"counts":{"":"x"}}',
    '{"name":"a"}\n{"name":"b"}\n\n{"name"',
    "\ufeff{}",
    "[".repeat(20_000),
    '{"leaf":'.repeat(500) + "{}" + "}".repeat(500),
    `{"struct":${'{"a":'.repeat(3_000)}1${"}".repeat(3_000)}}`,
    `{"tags":[${'"x",'.repeat(5_000)}"y"]}`,
    `"${"x".repeat(100_000)}"`,
    `{"big":${"9".repeat(2_000)}}`,
    "a=b&c=d",
  ].map((text) => Buffer.from(text)),
  Buffer.from([0xff, 0xfe, 0x00]),
  Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d]),
  Buffer.alloc(200_000, " "),
  gzipSync(Buffer.alloc(30_000_000, " ")),
  brotliCompressSync(Buffer.alloc(30_000_000, " ")),
  gzipSync("{}").subarray(0, 12),
];

function variants(name: string, list: string): [string, string][] {
  return list.split("|").map((value) => [name, value]);
}
