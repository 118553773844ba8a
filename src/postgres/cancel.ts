/** What we use of a client that was taken from pg's pool. */
export interface PooledClient<Query, Result> {
  /** Of the server's process that runs its statements. */
  readonly processID: number;
  query(query: Query): Promise<Result>;
  /** Gives it back to the pool. */
  release(): void;
}

/**
 * Runs a query that the server gives up when the signal aborts, because nobody waits for
 * it any more: its caller has left or its deadline has passed. The connection is given
 * back once the server was told, so nobody else's statement is cancelled.
 */
export async function queryUntilAborted<Query, Result>(
  client: PooledClient<Query, Result>,
  query: Query,
  signal: AbortSignal,
  cancel: (processId: number) => Promise<unknown>,
): Promise<Result> {
  let cancelling: Promise<unknown> | undefined;
  const onAbort = () => {
    cancelling = cancel(client.processID).catch(() => undefined);
  };
  try {
    signal.throwIfAborted();
    signal.addEventListener("abort", onAbort);
    return await client.query(query);
  } finally {
    signal.removeEventListener("abort", onAbort);
    await cancelling;
    client.release();
  }
}
