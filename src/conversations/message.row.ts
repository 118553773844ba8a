import type { ContentPart } from "../providers/content.ts";
import type { StoredMessage } from "./message.ts";
import type { Vault } from "./vault.ts";

/** What `messageJson` makes of a row of `messages`. */
export type MessageRow = [
  messageId: string,
  conversationId: string,
  parentMessageId: string | null,
  role: StoredMessage["role"],
  status: StoredMessage["status"],
  /** A string: sealed. */
  content: ContentPart[] | string,
  sequence: number,
  createTime: number,
  metadata: Record<string, string> | string | null,
  runId: string | null,
  model: string | null,
  provider: string | null,
  finishReason: NonNullable<StoredMessage["answer"]>["finishReason"] | null,
  inputTokens: number | null,
  cachedInputTokens: number,
  cacheWriteTokens: number,
  outputTokens: number,
  reasoningTokens: number,
  costMicros: string | null,
];

/** SQL for a whole message as one JSON array, which is parsed at once. */
export function messageJson(table: string): string {
  return `json_build_array(
    ${table}.id, ${table}.conversation_id, ${table}.parent_id, ${table}.role, ${table}.status,
    ${table}.content, ${table}.sequence, (extract(epoch from ${table}.create_time) * 1000)::bigint,
    ${table}.metadata, ${table}.run_id, ${table}.model, ${table}.provider, ${table}.finish_reason,
    ${table}.input_tokens, ${table}.cached_input_tokens, ${table}.cache_write_tokens,
    ${table}.output_tokens, ${table}.reasoning_tokens, ${table}.cost_micros::text)`;
}

/** A message as the rest of the house knows it. */
export function toStoredMessage(row: MessageRow, vault: Vault): StoredMessage {
  const [messageId] = row;
  return {
    messageId,
    conversationId: row[1],
    parentMessageId: row[2] ?? undefined,
    role: row[3],
    status: row[4],
    content: vault.fromJsonb(row[5], "message/content", messageId),
    sequence: row[6],
    createTime: new Date(row[7]),
    metadata: row[8] === null ? {} : vault.fromJsonb(row[8], "message/metadata", messageId),
    answer: row[3] === "assistant" ? toStoredAnswer(row) : undefined,
  };
}

function toStoredAnswer(row: MessageRow): StoredMessage["answer"] {
  return {
    runId: row[9] ?? undefined,
    model: row[10] ?? "",
    provider: row[11] ?? "",
    finishReason: row[12] ?? undefined,
    usage:
      row[13] === null
        ? undefined
        : {
            inputTokens: row[13],
            cachedInputTokens: row[14],
            cacheWriteTokens: row[15],
            outputTokens: row[16],
            reasoningTokens: row[17],
          },
    costMicros: row[18] === null ? undefined : BigInt(row[18]),
  };
}
