// Generated services for @grpc/grpc-js; see grpc-js.d.ts for what each thing means.
import { create, fromBinary, isMessage, toBinary } from "@bufbuild/protobuf";
import { makeClientConstructor } from "@grpc/grpc-js";

export function grpcServiceDefinition(service) {
  return Object.fromEntries(
    service.methods.map((method) => {
      const { methodKind, input, output } = method;
      return [
        method.localName,
        {
          path: `/${service.typeName}/${method.name}`,
          originalName: method.name,
          requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
          responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
          requestSerialize: (message) => serialize(input, message),
          requestDeserialize: (bytes) => fromBinary(input, bytes),
          responseSerialize: (message) => serialize(output, message),
          responseDeserialize: (bytes) => fromBinary(output, bytes),
        },
      ];
    }),
  );
}

export function createGrpcClient(service, address, credentials, options) {
  const Client = makeClientConstructor(grpcServiceDefinition(service), service.typeName);
  return new Client(address, credentials, options);
}

function serialize(schema, message) {
  const whole = isMessage(message, schema) ? message : create(schema, message);
  const { buffer, byteOffset, byteLength } = toBinary(schema, whole);
  return Buffer.from(buffer, byteOffset, byteLength);
}
