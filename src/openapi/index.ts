/** OpenAPI 3.1 from the descriptors of services with google.api.http rules. */
export { createDocument, type DocumentOptions } from "./document.ts";
export { placeholderId } from "./example-message.ts";
export type { MethodNotes } from "./operation.ts";
export type { Document, Json, JsonObject, Operation, Parameter, Schema } from "./types.ts";
