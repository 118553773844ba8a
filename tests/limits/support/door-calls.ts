/** The same calls over every door, with what headers and error details say of limits. */
import { create, fromJson, toJson, type JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Metadata, status as grpcStatus, type ServiceError } from "@grpc/grpc-js";
import {
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.js";
import {
  ChatService,
  ListModelsRequestSchema,
  SendMessageRequestSchema,
} from "../../../gen/tribe/v1/chat_pb.js";
import type { TestApp } from "../../support/app.ts";
import { detailsOf, statusFromServiceError } from "../../support/error-details.ts";
import { createGrpcClient } from "../../support/grpc-client.ts";

/** How a call went. */
export interface Outcome {
  /** Name of the gRPC code. */
  code: string;
  /** HTTP status; undefined in gRPC. */
  status?: number;
  headers: Record<string, string>;
  /** By the short names of their types. */
  details: Record<string, JsonObject>;
  /** `conversationId` and the like, of an answer that is one message. */
  answer?: JsonObject;
}

/** What is called. */
export type RpcName = "SendMessage" | "StreamMessage" | "ListModels";

/** Calls an RPC over one door. */
export type DoorCall = (
  app: Pick<TestApp, "baseUrl" | "grpcAddress">,
  key: string,
  rpc: RpcName,
  request?: JsonObject,
) => Promise<Outcome>;

const routes = {
  SendMessage: { method: "POST", path: "chat" },
  StreamMessage: { method: "POST", path: "chat:stream" },
  ListModels: { method: "GET", path: "models" },
};

/** The REST door. */
export const rest: DoorCall = async ({ baseUrl }, key, rpc, request) => {
  const { method, path } = routes[rpc];
  const response = await fetch(`${baseUrl}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(method === "POST" && { body: JSON.stringify(request) }),
  });
  const text = await response.text();
  const json = (response.ok && rpc === "StreamMessage" ? {} : JSON.parse(text)) as JsonObject;
  const details = response.ok ? [] : (json["details"] as JsonObject[]);
  return {
    code: response.ok ? "OK" : (grpcStatus[Number(json["code"])] ?? "?"),
    status: response.status,
    headers: Object.fromEntries(response.headers),
    details: Object.fromEntries(
      details.map(({ "@type": type, ...detail }) => [String(type).split(".").at(-1), detail]),
    ),
    answer: json,
  };
};

const connect: DoorCall = async ({ baseUrl }, key, rpc, request) => {
  const client = createClient(
    ChatService,
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  );
  const headers: Record<string, string> = {};
  const note = (from: Headers) => from.forEach((value, name) => (headers[name] = value));
  const options = { headers: { authorization: `Bearer ${key}` }, onHeader: note };
  try {
    if (rpc === "ListModels") await client.listModels({}, options);
    else if (rpc === "SendMessage") await client.sendMessage(toMessage(request), options);
    else for await (const _ of client.streamMessage(toMessage(request), options));
    return { code: "OK", headers, details: {} };
  } catch (error) {
    const failure = ConnectError.from(error);
    note(failure.metadata);
    const details: Outcome["details"] = {};
    for (const schema of [ErrorInfoSchema, QuotaFailureSchema, RetryInfoSchema]) {
      const [detail] = failure.findDetails(schema);
      if (detail) details[schema.name] = toJson(schema, detail) as JsonObject;
    }
    const code = Code[failure.code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    return { code, headers, details };
  }
};

const grpc: DoorCall = async ({ grpcAddress }, key, rpc, request) => {
  const client = createGrpcClient(ChatService, grpcAddress);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const headers: Record<string, string> = {};
  const note = (from: Metadata) => {
    for (const name of Object.keys(from.getMap())) headers[name] = String(from.get(name)[0]);
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const message = rpc === "ListModels" ? create(ListModelsRequestSchema) : toMessage(request);
      const done = (error: ServiceError | null) => (error ? reject(error) : resolve());
      const call =
        rpc === "StreamMessage"
          ? client[rpc]!(message, metadata)
          : client[rpc]!(message, metadata, done);
      call.on("metadata", note);
      if (rpc === "StreamMessage")
        call
          .on("data", () => {})
          .on("error", reject)
          .on("end", resolve);
    });
    return { code: "OK", headers, details: {} };
  } catch (reason) {
    const error = reason as ServiceError;
    note(error.metadata);
    const details = detailsOf(statusFromServiceError(error));
    return { code: grpcStatus[error.code] ?? "?", headers, details };
  } finally {
    client.close();
  }
};

function toMessage(request: JsonObject = {}) {
  return fromJson(SendMessageRequestSchema, request);
}

/** All doors by their names. */
export const doorCalls: Readonly<Record<string, DoorCall>> = { rest, connect, grpc };
