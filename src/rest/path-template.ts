/**
 * The path templates of google/api/http.proto:
 *
 *     Template  = "/" Segments [ Verb ] ;
 *     Segments  = Segment { "/" Segment } ;
 *     Segment   = "*" | "**" | LITERAL | Variable ;
 *     Variable  = "{" FieldPath [ "=" Segments ] "}" ;
 *     FieldPath = IDENT { "." IDENT } ;
 *     Verb      = ":" LITERAL ;
 *
 * A LITERAL is made of the characters that RFC 3986 allows in a path segment,
 * without `:` and `*`; anything else is written as an escape.
 */
import { decodePercent } from "./percent.ts";

/** One segment: a literal (decoded), any one segment, or all that are left. */
export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "*" }
  | { readonly kind: "**" };

/** A variable and the segments that it captures. */
export interface TemplateVariable {
  /** Names as in the proto, for example `["book", "name"]`. */
  readonly fieldPath: readonly string[];
  /** Index of its first segment. */
  readonly start: number;
  /** Index after its last segment; it captures to the end if that one is `**`. */
  readonly end: number;
}

/** A parsed template. */
export interface PathTemplate {
  /** As it was written. */
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly variables: readonly TemplateVariable[];
  /** Decoded and without its colon; empty if there is none. */
  readonly verb: string;
}

const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const literal = /(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+/y;

/** Parses a template. Throws an Error that says what is wrong and where. */
export function parsePathTemplate(text: string): PathTemplate {
  const segments: Segment[] = [];
  const variables: TemplateVariable[] = [];
  let position = 0;

  const fail = (problem: string): never => {
    throw new Error(`${problem} at column ${position + 1} of "${text}"`);
  };
  const accept = (token: string): boolean => {
    if (!text.startsWith(token, position)) return false;
    position += token.length;
    return true;
  };
  const scan = (pattern: RegExp, name: string): string => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return fail(`expected ${name}`);
    position += found.length;
    return found;
  };
  const scanLiteral = (name: string): string => {
    const start = position;
    const decoded = decodePercent(scan(literal, name));
    if (decoded !== undefined) return decoded;
    position = start;
    return fail("the escapes of this literal are not UTF-8");
  };

  const parseSegments = (insideVariable: boolean): void => {
    do {
      if (segments.at(-1)?.kind === "**") fail("`**` must be the last segment");
      parseSegment(insideVariable);
    } while (accept("/"));
  };
  const parseSegment = (insideVariable: boolean): void => {
    if (accept("**")) segments.push({ kind: "**" });
    else if (accept("*")) segments.push({ kind: "*" });
    else if (text[position] === "{") parseVariable(insideVariable);
    else
      segments.push({ kind: "literal", text: scanLiteral("a literal, `*`, `**` or a variable") });
  };
  const parseVariable = (insideVariable: boolean): void => {
    if (insideVariable) fail("a variable inside a variable");
    accept("{");
    const start = segments.length;
    const fieldPath = [scan(identifier, "a field name")];
    while (accept(".")) fieldPath.push(scan(identifier, "a field name"));
    if (accept("=")) parseSegments(true);
    else segments.push({ kind: "*" });
    if (!accept("}")) fail("expected `}`");
    const name = fieldPath.join(".");
    if (variables.some((other) => other.fieldPath.join(".") === name)) {
      fail(`variable "${name}" is bound twice`);
    }
    variables.push({ fieldPath, start, end: segments.length });
  };

  if (!accept("/")) fail("expected `/`");
  parseSegments(false);
  const verb = accept(":") ? scanLiteral("a verb") : "";
  if (position < text.length) fail(`unexpected "${text[position]}"`);
  return { text, segments, variables, verb };
}

/** What a template matches, without the names of its variables: equal shapes collide. */
export function templateShape(template: PathTemplate): string {
  const path = template.segments.map((segment) =>
    segment.kind === "literal" ? encodeURIComponent(segment.text) : segment.kind,
  );
  const verb = template.verb === "" ? "" : `:${encodeURIComponent(template.verb)}`;
  return `/${path.join("/")}${verb}`;
}
