/**
 * Async iterables for streams of messages. Written out rather than as async
 * generators, which cost a queue and several promises for every message.
 */
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/** One message. */
export async function* iterate<T>(message: T): AsyncIterable<T> {
  yield message;
}

/** The messages of an iterable that is still to come; `open` is called at the first `next`. */
export function deferred<T>(open: () => Promise<AsyncIterable<T>>): AsyncIterable<T> {
  let source: AsyncIterator<T> | undefined;
  const iterator: AsyncIterator<T> = {
    next: () => source?.next() ?? opened().then((opened) => opened.next()),
    async return(value?: unknown) {
      await source?.return?.(value);
      return { done: true, value };
    },
  };
  async function opened(): Promise<AsyncIterator<T>> {
    source = (await open())[Symbol.asyncIterator]();
    return source;
  }
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Changes every message. */
export function mapped<T, U>(
  messages: AsyncIterable<T>,
  change: (message: T) => U,
): AsyncIterable<U> {
  return {
    [Symbol.asyncIterator]() {
      const source = messages[Symbol.asyncIterator]();
      const step = (result: IteratorResult<T>): IteratorResult<U> =>
        result.done ? result : { done: false, value: change(result.value) };
      return {
        next: () => source.next().then(step),
        async return(value?: unknown) {
          await source.return?.(value);
          return { done: true, value };
        },
      };
    },
  };
}

/** Calls `onEnd` after the last message. */
export async function* followed<T>(
  messages: AsyncIterable<T>,
  onEnd: () => void,
): AsyncIterable<T> {
  yield* messages;
  onEnd();
}

/** The one request of a method that takes no stream. */
export async function onlyMessage(
  messages: AsyncIterable<Message>,
  method: DescMethod,
): Promise<Message> {
  let only: Message | undefined;
  for await (const message of messages) {
    if (only) {
      throw new ConnectError(`${method.name} takes one request, not more`, Code.Unimplemented);
    }
    only = message;
  }
  if (!only)
    throw new ConnectError(`${method.name} takes one request, not none`, Code.Unimplemented);
  return only;
}
