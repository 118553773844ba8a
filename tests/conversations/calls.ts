import {
  create,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  createContextValues,
  createHandlerContext,
  type HandlerContext,
} from "@connectrpc/connect";
import { type Caller, callerKey } from "../../src/identity/caller.ts";
import { DomainError } from "../../src/errors.ts";

/** A context as the interceptors hand it to a handler. */
export function contextOf(method: DescMethod, userId: string | undefined): HandlerContext {
  const caller: Caller | undefined =
    userId === undefined ? undefined : { userId, role: "user", permissions: new Set() };
  return createHandlerContext({
    service: method.parent,
    method,
    protocolName: "test",
    requestMethod: "POST",
    url: "https://tribe.test/",
    contextValues: createContextValues().set(callerKey, caller),
  });
}

/** A request as a door hands it to a handler. */
export function requestOf<Method extends DescMethod>(
  method: Method,
  init: MessageInitShape<Method["input"]>,
): MessageShape<Method["input"]> {
  return create<Method["input"]>(method.input, init);
}

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<DomainError> {
  const failure = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure instanceof DomainError) return failure;
  throw new Error("the call did not fail as it should", { cause: failure });
}
