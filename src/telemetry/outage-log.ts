/** Tells of an outage when it begins and when it ends, however often it is met in between. */
import type { Logger } from "./logger.ts";

/** The two lines of an outage. */
export interface OutageWords {
  level: "warn" | "error";
  begins: string;
  ends: string;
}

/** What somebody who tries again and again found. */
export interface OutageLog {
  /** It failed: the first time since it last worked has a line. */
  failed(error: unknown): void;
  /** It worked: has a line if it had failed before. */
  worked(): void;
}

/** Makes the log of one kind of outage. */
export function createOutageLog(logger: Logger, words: OutageWords): OutageLog {
  let isAway = false;
  return {
    failed(error) {
      if (isAway) return;
      isAway = true;
      logger[words.level]({ err: error }, words.begins);
    },
    worked() {
      if (!isAway) return;
      isAway = false;
      logger.info(words.ends);
    },
  };
}
