/** The parts of OpenAPI 3.1 that are written: https://spec.openapis.org/oas/v3.1.1.html */

/** Anything that JSON can say. */
export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** An object in JSON. */
export type JsonObject = { readonly [key: string]: Json };

/** Extensions, `x-…`. */
export type Extensions = { readonly [name: `x-${string}`]: Json };

/** A JSON Schema, draft 2020-12. Keywords may stand beside `$ref`. */
export type Schema = Extensions & {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly contentEncoding?: string;
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly propertyNames?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly not?: Schema;
  readonly deprecated?: boolean;
  readonly examples?: readonly Json[];
};

/** A body, or a part of it, in one content type. */
export interface MediaType {
  readonly schema?: Schema;
  readonly example?: Json;
}

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description?: string;
  readonly required?: boolean;
  readonly deprecated?: boolean;
  readonly schema: Schema;
  readonly example?: Json;
}

/** What a request carries. */
export interface RequestBody {
  readonly description?: string;
  readonly required?: boolean;
  readonly content: Readonly<Record<string, MediaType>>;
}

/** A header of a response. */
export interface Header {
  readonly description: string;
  readonly schema: Schema;
}

/** An answer, or a reference to a shared one. */
export type Response =
  | { readonly $ref: string }
  | {
      readonly description: string;
      readonly headers?: Readonly<Record<string, Header | { readonly $ref: string }>>;
      readonly content?: Readonly<Record<string, MediaType>>;
    };

/** Names of security schemes with the scopes that are needed; all of one object together. */
export type SecurityRequirement = Readonly<Record<string, readonly string[]>>;

/** One HTTP method of one path. */
export type Operation = Extensions & {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly deprecated?: boolean;
  readonly security?: readonly SecurityRequirement[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: RequestBody;
  readonly responses: Readonly<Record<string, Response>>;
};

/** The operations of a path by HTTP method, in lower case. */
export type PathItem = Record<string, Operation | Record<string, Operation>>;

/** What the service is called and who offers it. */
export type Info = {
  readonly title: string;
  readonly version: string;
  readonly summary?: string;
  readonly description?: string;
  readonly license?: { readonly name: string; readonly identifier?: string };
};

/** A whole document. */
export interface Document {
  readonly openapi: "3.1.1";
  readonly info: Info;
  readonly servers: readonly { readonly url: string; readonly description?: string }[];
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, Response>>;
    readonly headers: Readonly<Record<string, Header>>;
    readonly securitySchemes: Readonly<Record<string, JsonObject>>;
  };
}
