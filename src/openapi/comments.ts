/** The comments of descriptors, which only descriptors with source information have. */
import type {
  AnyDesc,
  DescEnum,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescOneof,
} from "@bufbuild/protobuf";

type Commented = Exclude<AnyDesc, DescFile | { kind: "extension" }>;

/** Leading comments of a file by the path of what they stand before. */
const commentsOfFiles = new WeakMap<DescFile, ReadonlyMap<string, string>>();

/** The comment before a descriptor, as Markdown. Empty if there is none. */
export function commentOf(desc: Commented): string {
  const file = fileOf(desc);
  let comments = commentsOfFiles.get(file);
  if (comments === undefined) {
    comments = readComments(file);
    commentsOfFiles.set(file, comments);
  }
  return comments.get(pathOf(desc).join(".")) ?? "";
}

/** The first sentence of a comment as plain text, without its full stop. */
export function summaryOf(comment: string): string {
  const [paragraph = ""] = comment.split("\n\n", 1);
  const sentence = /^.*?[.!?](?=\s|$)/s.exec(paragraph)?.[0] ?? paragraph;
  return sentence.replace(/\.$/, "").replaceAll("`", "");
}

function readComments(file: DescFile): Map<string, string> {
  const comments = new Map<string, string>();
  for (const { path, leadingComments } of file.proto.sourceCodeInfo?.location ?? []) {
    if (leadingComments !== "") comments.set(path.join("."), toMarkdown(leadingComments));
  }
  return comments;
}

/** Directives to tools go, lines that were only wrapped are joined, links to types become code. */
function toMarkdown(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
    .filter((line) => !/^buf:lint:|^\(-- .* --\)$/.test(line));
  let markdown = "";
  for (const [index, line] of lines.entries()) {
    const starts = index === 0 || line === "" || lines[index - 1] === "";
    const stands = /^(\s{2,}|[-*+#>|]|\d+[.)])/.test(line);
    markdown += starts || stands ? `\n${line}` : ` ${line}`;
  }
  return markdown
    .trim()
    .replaceAll(/\n{3,}/g, "\n\n")
    .replaceAll(/\[([^\]`]+)\]\[[A-Za-z_][\w.]*\]/g, "`$1`");
}

function fileOf(desc: Commented): DescFile {
  switch (desc.kind) {
    case "message":
    case "enum":
    case "service":
      return desc.file;
    case "rpc":
      return desc.parent.file;
    case "enum_value":
      return desc.parent.file;
    default:
      return desc.parent.file;
  }
}

/** Field numbers of descriptor.proto and indexes, as SourceCodeInfo.Location writes them. */
function pathOf(desc: Commented): number[] {
  switch (desc.kind) {
    case "service":
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case "rpc":
      return [...pathOf(desc.parent), 2, methodIndex(desc)];
    case "enum_value":
      return [...pathOf(desc.parent), 2, desc.parent.proto.value.indexOf(desc.proto)];
    case "field":
      return [...pathOf(desc.parent), 2, fieldIndex(desc)];
    case "oneof":
      return [...pathOf(desc.parent), 8, oneofIndex(desc)];
    case "enum":
      return enumPath(desc);
    default:
      return messagePath(desc);
  }
}

function messagePath({ parent, proto, file }: DescMessage): number[] {
  if (parent !== undefined)
    return [...messagePath(parent), 3, parent.proto.nestedType.indexOf(proto)];
  return [4, file.proto.messageType.indexOf(proto)];
}

function enumPath({ parent, proto, file }: DescEnum): number[] {
  if (parent !== undefined)
    return [...messagePath(parent), 4, parent.proto.enumType.indexOf(proto)];
  return [5, file.proto.enumType.indexOf(proto)];
}

function methodIndex({ parent, proto }: DescMethod): number {
  return parent.proto.method.indexOf(proto);
}

function fieldIndex({ parent, proto }: DescField): number {
  return parent.proto.field.indexOf(proto);
}

function oneofIndex({ parent, proto }: DescOneof): number {
  return parent.proto.oneofDecl.indexOf(proto);
}
