import { invalidField } from "../errors.ts";
import type { CatalogModel } from "./catalog.ts";
import type { ModelRequest } from "./provider.ts";

/**
 * Throws INVALID_ARGUMENT for what the catalogue says that a model cannot do.
 * What is not known is left to the provider.
 */
export function checkCapabilities(entry: CatalogModel, request: ModelRequest): void {
  if (entry.images === false) checkImages(entry, request);
  if (entry.tools === false && request.tools !== undefined && request.tools.length > 0) {
    throw invalidField("tools", `${entry.model} calls no tools`);
  }
  if (entry.jsonSchema === false && request.responseFormat?.type === "json_schema") {
    throw invalidField("responseFormat.jsonSchema", `${entry.model} keeps to no JSON schema`);
  }
  const effort = request.reasoningEffort;
  if (entry.reasoning === false && effort !== undefined && effort !== "none") {
    throw invalidField("reasoningEffort", `${entry.model} does not reason; leave it unset`);
  }
  const most = entry.maxOutputTokens;
  if (most !== undefined && (request.maxOutputTokens ?? 0) > most) {
    throw invalidField("maxOutputTokens", `${entry.model} writes at most ${most} tokens`);
  }
  if (request.tools === undefined && request.toolChoice !== undefined) {
    throw invalidField("toolChoice", "there are no tools to choose from");
  }
}

/** The last message is the request's own content; the others are the conversation's. */
function checkImages(entry: CatalogModel, request: ModelRequest): void {
  const last = request.messages.length - 1;
  for (const [position, { content }] of request.messages.entries()) {
    const index = content.findIndex((part) => part.type === "image");
    if (index < 0) continue;
    if (position === last) {
      throw invalidField(`content[${index}].image`, `${entry.model} takes no pictures`);
    }
    throw invalidField("model", `${entry.model} takes no pictures, but the conversation has some`);
  }
}
