import { wholeNumber } from "../settings/definition.ts";

const maximum = 36_500;

/** How long conversations are kept. */
export const conversationRetentionSetting = wholeNumber(
  "conversationRetentionDays",
  "Days after which a conversation that nobody used is erased, with its messages; what it cost stays in the ledger. 0 keeps conversations until somebody deletes them.",
  { default: 0, minimum: 0, maximum },
);

/** How long the audit log says from where and with what details. */
export const auditDetailRetentionSetting = wholeNumber(
  "auditDetailRetentionDays",
  "Days after which addresses and other personal details of audit events are erased; the events stay, and the log still verifies. 0 keeps them as long as their user.",
  { default: 0, minimum: 0, maximum },
);

/** All settings of retention. */
export const retentionSettings = [
  conversationRetentionSetting,
  auditDetailRetentionSetting,
] as const;
