import type { Audit } from "../audit/audit.ts";
import type { Settings } from "../settings/settings.ts";
import type { Logger } from "../telemetry/logger.ts";
import { auditDetailRetentionSetting, conversationRetentionSetting } from "./retention-settings.ts";

/** What is erased by its age. */
export interface RetentionParts {
  /** Erases the conversations not used since then; returns how many. */
  eraseConversations(before: Date, goOn: () => Promise<boolean>): Promise<number>;
  /** Erases what calls that were under way left of users who were erased meanwhile. */
  eraseRemains(): Promise<void>;
  audit: Pick<Audit, "expireDetails">;
  settings: Pick<Settings, "get">;
  logger: Logger;
}

const dayMs = 86_400_000;

/**
 * Erases what is older than the settings allow; again and again by one process. `goOn` is asked
 * between pieces.
 */
export function createRetention(parts: RetentionParts) {
  const { audit, settings, logger } = parts;
  const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);
  return async function erase(goOn: () => Promise<boolean>): Promise<void> {
    await parts.eraseRemains();
    const conversationDays = settings.get(conversationRetentionSetting);
    if (conversationDays > 0) {
      const conversations = await parts.eraseConversations(daysAgo(conversationDays), goOn);
      if (conversations > 0) logger.info({ conversations }, "erased what nobody used for long");
    }
    const detailDays = settings.get(auditDetailRetentionSetting);
    if (detailDays > 0 && (await goOn())) await audit.expireDetails(daysAgo(detailDays));
  };
}
