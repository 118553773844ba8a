/** Paths of message fields as a caller writes them: JSON names and subscripts. */
import type { Path } from "@bufbuild/protobuf/reflect";

/** `content[0].image.mediaType`, `metadata["color"]`. A oneof has no name in JSON and is left out. */
export function jsonPath(path: Path): string {
  let text = "";
  for (const element of path) {
    switch (element.kind) {
      case "field":
        text += text === "" ? element.jsonName : `.${element.jsonName}`;
        break;
      case "list_sub":
        text += `[${element.index}]`;
        break;
      case "map_sub":
        text += subscript(element.key);
        break;
      case "extension":
        text += `[${element.typeName}]`;
        break;
      case "oneof":
        break;
    }
  }
  return text;
}

/** `["color"]`, `[7]`: a map's key behind its field. */
export function subscript(key: string | number | bigint | boolean): string {
  return typeof key === "string" ? `[${JSON.stringify(key)}]` : `[${key}]`;
}
