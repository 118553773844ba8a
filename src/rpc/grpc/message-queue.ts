/** Requests of a client or bidirectional stream, read one at a time as the handler asks. */
import type { Message } from "@bufbuild/protobuf";

/** Takes what the transport receives and hands it to the handler as an async iterable. */
export interface MessageQueue {
  readonly messages: AsyncIterable<Message>;
  push(message: Message): void;
  /** The caller has sent its last message. */
  end(): void;
  /** Ends the iteration with an error. */
  fail(reason: unknown): void;
}

/** @param requestNext asks the transport for one more message (or the end). */
export function createMessageQueue(requestNext: () => void): MessageQueue {
  const arrived: Message[] = [];
  let ended = false;
  let failure: { reason: unknown } | undefined;
  let waiting:
    { resolve(result: IteratorResult<Message>): void; reject(reason: unknown): void } | undefined;

  function settle() {
    if (!waiting) return;
    const message = arrived.shift();
    if (message) waiting.resolve({ done: false, value: message });
    else if (failure) waiting.reject(failure.reason);
    else if (ended) waiting.resolve({ done: true, value: undefined });
    else return;
    waiting = undefined;
  }
  const iterator: AsyncIterator<Message> = {
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        if (arrived.length === 0 && !ended && !failure) requestNext();
        settle();
      }),
    return: () => {
      ended = true;
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  return {
    messages: { [Symbol.asyncIterator]: () => iterator },
    push(message) {
      arrived.push(message);
      settle();
    },
    end() {
      ended = true;
      settle();
    },
    fail(reason) {
      failure ??= { reason };
      settle();
    },
  };
}
