import type { ListModelsRequest, ListModelsResponse, Model } from "../../gen/tribe/v1/chat_pb.js";
import { decodePageToken, encodePageToken, type PageCursor } from "../page-token.ts";
import type { ModelInfo, Models } from "../providers/models.ts";

const usualPageSize = 100;
const scope = ["ListModels"];

/** A page of the models that can be asked. The list is fixed while the process runs. */
export function listModels(
  models: Models,
  { pageSize, pageToken }: ListModelsRequest,
): ListModelsResponse {
  const [start] = decodePageToken(pageToken, scope, isOffset) ?? [0];
  const all = models.list();
  const end = start + (pageSize || usualPageSize);
  return {
    $typeName: "tribe.v1.ListModelsResponse",
    models: all.slice(start, end).map(toProtoModel),
    nextPageToken: end < all.length ? encodePageToken(scope, [end]) : "",
  };
}

function isOffset(cursor: PageCursor): cursor is [number] {
  return cursor.length === 1 && Number.isSafeInteger(cursor[0]);
}

function toProtoModel({ price, ...info }: ModelInfo): Model {
  const model: Model = { $typeName: "tribe.v1.Model", ...info };
  if (price) {
    const { inputMicros, cachedInputMicros, cacheWriteMicros, outputMicros } = price;
    model.price = {
      $typeName: "tribe.v1.Price",
      inputMicros,
      cachedInputMicros,
      cacheWriteMicros,
      outputMicros,
    };
  }
  return model;
}
