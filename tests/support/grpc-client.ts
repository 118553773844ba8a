/** A @grpc/grpc-js client for any generated service. */
import { fromBinary, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { DescService } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  credentials,
  makeClientConstructor,
  type MethodDefinition,
} from "@grpc/grpc-js";

/** The methods of a client, by their names as in the contract. */
export type GrpcClient = InstanceType<ReturnType<typeof makeClientConstructor>>;

export function createGrpcClient(
  service: DescService,
  address: string,
  options: Record<string, unknown> = {},
  security: ChannelCredentials = credentials.createInsecure(),
): GrpcClient {
  const definition: Record<string, MethodDefinition<Message, Message>> = {};
  for (const method of service.methods) {
    const requestStream =
      method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
    const responseStream =
      method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    definition[method.name] = {
      path: `/${service.typeName}/${method.name}`,
      requestStream,
      responseStream,
      ...codec("request", method.input),
      ...codec("response", method.output),
    } as MethodDefinition<Message, Message>;
  }
  const Client = makeClientConstructor(definition, service.typeName);
  return new Client(address, security, {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    ...options,
  });
}

function codec(side: "request" | "response", schema: DescMessage) {
  return {
    [`${side}Serialize`]: (message: Message) => Buffer.from(toBinary(schema, message)),
    [`${side}Deserialize`]: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}
