/**
 * gRPC server reflection, v1 and v1alpha, so that tools work without .proto files.
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
import type { DescFile, DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as ServerReflectionAlpha,
  type ServerReflectionRequest as ServerReflectionRequestAlpha,
} from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import type { Routes } from "../invoke.ts";
import { createDescriptorIndex, type DescriptorIndex } from "./descriptor-index.ts";

/** `message_response` of either version; they differ in their package names only. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | {
      case: "allExtensionNumbersResponse";
      value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

type Question = Pick<
  ServerReflectionRequest | ServerReflectionRequestAlpha,
  "messageRequest" | "host"
>;

/**
 * Routes of both reflection services. They list `services` and themselves, nothing else.
 * @param files known beside what the services import, for example those of error details.
 */
export function createReflectionRoutes(
  services: readonly DescService[],
  files: readonly DescFile[],
): Routes {
  const served = [...services, ServerReflection, ServerReflectionAlpha];
  const index = createDescriptorIndex(served, files);
  return (router) => {
    router.service(ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          yield { ...answer(index, request), originalRequest: request };
        }
      },
    });
    router.service(ServerReflectionAlpha, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          yield { ...answer(index, request), originalRequest: request };
        }
      },
    });
  };
}

function answer(index: DescriptorIndex, question: Question) {
  return { validHost: question.host, messageResponse: find(index, question) };
}

/** Answers one question; a miss is an answer too, the stream goes on. */
function find(index: DescriptorIndex, { messageRequest }: Question): Answer {
  switch (messageRequest.case) {
    case "fileByFilename":
      return files(index.filesByName(messageRequest.value), `file ${messageRequest.value}`);
    case "fileContainingSymbol":
      return files(index.filesBySymbol(messageRequest.value), `symbol ${messageRequest.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = messageRequest.value;
      const found = index.filesByExtension(containingType, extensionNumber);
      return files(found, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = messageRequest.value;
      const extensionNumber = index.extensionNumbers(baseTypeName);
      if (!extensionNumber) return notFound(`message ${baseTypeName}`);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
    }
    case "listServices": {
      const service = index.serviceNames.map((name) => ({ name }));
      return { case: "listServicesResponse", value: { service } };
    }
    case undefined:
      return failure(Code.InvalidArgument, "messageRequest: set exactly one of its members");
  }
}

function files(fileDescriptorProto: Uint8Array[] | undefined, what: string): Answer {
  if (!fileDescriptorProto) return notFound(what);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return failure(Code.NotFound, `${what} does not exist`);
}

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
