/** The service of the REST bench: as many annotated methods as asked for, made at run time. */
import {
  create,
  createFileRegistry,
  setExtension,
  type DescService,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MethodOptionsSchema,
  type FieldDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { file_google_api_annotations, http } from "../gen/google/api/annotations_pb.js";
import { HttpRuleSchema } from "../gen/google/api/http_pb.js";

type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;

/** A thing, as requests and responses carry it. */
export interface Thing {
  name: string;
  title: string;
  count: number;
  ratio: number;
  active: boolean;
  tags: string[];
  parts: { key: string; text: string }[];
}

/** The thing of every request. */
export const thing: Thing = {
  name: "",
  title: "Transcode HTTP and JSON to gRPC",
  count: 42,
  ratio: 0.75,
  active: true,
  tags: ["rest", "grpc", "connect"],
  parts: [
    { key: "question", text: "How much does a call cost that is described by its contract?" },
    { key: "answer", text: "About as much as one that somebody wrote by hand, if all goes well." },
  ],
};

/** The path of the n-th method: for POST with a thing, and for GET. */
export function pathOf(index: number, name: string): string {
  return `/v1/group${Math.floor(index / 10)}/things${index}/${name}`;
}

/** Makes `bench.v1.ThingService` with `count` methods for POST and as many for GET. */
export function createThingService(count: number): DescService {
  const rules = [
    { prefix: "Set", pattern: "post", body: "*" },
    { prefix: "Get", pattern: "get", body: "" },
  ] as const;
  const method = rules.flatMap(({ prefix, pattern, body }) =>
    Array.from({ length: count }, (_, index) => {
      const rule = { pattern: { case: pattern, value: pathOf(index, "{name}") }, body };
      const options = create(MethodOptionsSchema);
      setExtension(options, http, create(HttpRuleSchema, rule));
      const type = ".bench.v1.Thing";
      return { name: `${prefix}${index}`, inputType: type, outputType: type, options };
    }),
  );
  const file = create(FileDescriptorProtoSchema, {
    name: "bench/v1/thing.proto",
    package: "bench.v1",
    syntax: "proto3",
    dependency: ["google/api/annotations.proto"],
    messageType: [
      { name: "Part", field: fields({ key: "STRING", text: "STRING" }) },
      {
        name: "Thing",
        field: [
          ...fields({
            name: "STRING",
            title: "STRING",
            count: "INT32",
            ratio: "DOUBLE",
            active: "BOOL",
            tags: "STRING",
          }).map((field) => (field.name === "tags" ? { ...field, label: repeated } : field)),
          {
            name: "parts",
            jsonName: "parts",
            number: 7,
            type: FieldDescriptorProto_Type.MESSAGE,
            typeName: ".bench.v1.Part",
            label: repeated,
          },
        ],
      },
    ],
    service: [{ name: "ThingService", method }],
  });
  const imported = [file_google_api_annotations, ...file_google_api_annotations.dependencies];
  const set = create(FileDescriptorSetSchema, {
    file: [
      ...imported.flatMap((desc) => [...desc.dependencies, desc]).map((desc) => desc.proto),
      file,
    ],
  });
  const service = createFileRegistry(set).getService("bench.v1.ThingService");
  if (service === undefined) throw new Error("no service");
  return service;
}

const repeated = FieldDescriptorProto_Label.REPEATED;

function fields(types: Record<string, keyof typeof FieldDescriptorProto_Type>): FieldInit[] {
  return Object.entries(types).map(([name, type], index) => ({
    name,
    jsonName: name,
    number: index + 1,
    type: FieldDescriptorProto_Type[type],
    label: FieldDescriptorProto_Label.OPTIONAL,
  }));
}
