import type { MessageSearchRepository } from "./search.repository.ts";

/** Finds the words of new messages in the background. */
export interface SearchIndexer {
  /** Ends after the batch that is under way. */
  stop(): Promise<void>;
}

/** Slow enough to leave the database to the turns; a search does not wait for it. */
const intervalMs = 1000;

/** Looks at one batch a second, from now on. Any number of processes may do so at once. */
export function createSearchIndexer(
  search: MessageSearchRepository,
  onFailure: (error: unknown) => void,
): SearchIndexer {
  let batch: Promise<unknown> = Promise.resolve();
  let isBusy = false;

  function look() {
    if (isBusy) return;
    isBusy = true;
    batch = search
      .indexSome()
      .catch(onFailure)
      .finally(() => {
        isBusy = false;
      });
  }
  const timer = setInterval(look, intervalMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await batch;
    },
  };
}
