/** A service with a method of every kind, made at run time. */
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

const file = create(FileDescriptorProtoSchema, {
  name: "kinds/v1/kinds.proto",
  package: "kinds.v1",
  syntax: "proto3",
  messageType: [
    {
      name: "Word",
      field: [{ name: "text", number: 1, type: Type.STRING, label: Label.OPTIONAL }],
    },
  ],
  service: [
    {
      name: "KindsService",
      method: [
        { name: "Unary", clientStreaming: false, serverStreaming: false },
        { name: "Download", clientStreaming: false, serverStreaming: true },
        { name: "Upload", clientStreaming: true, serverStreaming: false },
        { name: "Talk", clientStreaming: true, serverStreaming: true },
      ].map((method) => ({
        ...method,
        inputType: ".kinds.v1.Word",
        outputType: ".kinds.v1.Word",
      })),
    },
  ],
});

/** `Unary`, `Download`, `Upload` and `Talk`, each from `Word { text }` to `Word`. */
export const KindsService: DescService = createFileRegistry(file, () => undefined).getService(
  "kinds.v1.KindsService",
)!;

/** A message of the service. */
export interface Word {
  $typeName: "kinds.v1.Word";
  text: string;
}

export function word(text: string): Word {
  return create(KindsService.methods[0]!.input, { text }) as unknown as Word;
}
