import type { ContentPart as ProtoContentPart, Image } from "../../gen/tribe/v1/message_pb.js";
import { invalidField } from "../errors.ts";
import type { ContentPart, ImagePart } from "../providers/content.ts";

/** Parts as the database and the providers have them, for a caller. */
export function toProtoContent(parts: readonly ContentPart[]): ProtoContentPart[] {
  return parts.map((part) => ({ $typeName: "tribe.v1.ContentPart", part: toProtoPart(part) }));
}

function toProtoPart(part: ContentPart): ProtoContentPart["part"] {
  switch (part.type) {
    case "text":
      return { case: "text", value: part.text };
    case "image":
      return { case: "image", value: toProtoImage(part) };
    case "tool_call":
      return {
        case: "toolCall",
        value: {
          $typeName: "tribe.v1.ToolCall",
          toolCallId: part.toolCallId,
          name: part.name,
          arguments: part.arguments,
        },
      };
    case "tool_result":
      return {
        case: "toolResult",
        value: {
          $typeName: "tribe.v1.ToolResult",
          toolCallId: part.toolCallId,
          content: part.content,
          isError: part.isError ?? false,
        },
      };
    case "reasoning":
      return {
        case: "reasoning",
        value: {
          $typeName: "tribe.v1.Reasoning",
          text: part.text,
          signature: part.signature ?? "",
          redacted: part.redacted ?? "",
        },
      };
  }
}

function toProtoImage({ url, data, mediaType = "" }: ImagePart): Image {
  return {
    $typeName: "tribe.v1.Image",
    mediaType,
    source:
      url === undefined
        ? { case: "data", value: Buffer.from(data ?? "", "base64") }
        : { case: "url", value: url },
  };
}

/**
 * What a user says: text, images and tool results. Sizes and formats are checked by
 * the contract; here is what it cannot say. Throws INVALID_ARGUMENT naming the part.
 */
export function fromProtoContent(
  parts: readonly ProtoContentPart[],
  field = "content",
): ContentPart[] {
  return parts.map(({ part }, index) => fromProtoPart(part, `${field}[${index}]`));
}

function fromProtoPart(part: ProtoContentPart["part"], field: string): ContentPart {
  switch (part.case) {
    case "text":
      return { type: "text", text: storableText(part.value, `${field}.text`) };
    case "image":
      return fromProtoImage(part.value, `${field}.image`);
    case "toolResult": {
      const { toolCallId, content, isError } = part.value;
      return {
        type: "tool_result",
        toolCallId: storableText(toolCallId, `${field}.toolResult.toolCallId`),
        content: storableText(content, `${field}.toolResult.content`),
        ...(isError && { isError }),
      };
    }
    case "toolCall":
    case "reasoning":
      throw invalidField(
        `${field}.${part.case}`,
        "only the model writes this; send text, image or toolResult",
      );
    default:
      throw invalidField(field, "is empty; set text, image or toolResult");
  }
}

function fromProtoImage({ source, mediaType }: Image, field: string): ImagePart {
  if (source.case === "url") {
    const url = storableText(source.value, `${field}.url`);
    if (!URL.canParse(url)) throw invalidField(`${field}.url`, "is not an https address");
    return { type: "image", url, ...(mediaType !== "" && { mediaType }) };
  }
  if (source.case !== "data" || source.value.length === 0) {
    throw invalidField(field, "is empty; set data or url");
  }
  if (mediaType === "") {
    throw invalidField(
      `${field}.mediaType`,
      "is needed with data: image/png, image/jpeg, image/gif or image/webp",
    );
  }
  const { buffer, byteOffset, byteLength } = source.value;
  const data = Buffer.from(buffer, byteOffset, byteLength).toString("base64");
  return { type: "image", mediaType, data };
}

/** Refuses the two things that are text but that PostgreSQL cannot hold. */
export function storableText(text: string, field: string): string {
  if (text.includes("\0")) throw invalidField(field, "has the character U+0000; leave it out");
  if (!text.isWellFormed()) {
    throw invalidField(field, "has half a surrogate pair; send well-formed Unicode");
  }
  return text;
}
