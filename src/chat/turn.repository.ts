import { DomainError } from "../errors.ts";
import { violatedConstraint } from "../postgres/failure.ts";
import { toText } from "../postgres/json.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { plainVault, type Vault } from "../conversations/vault.ts";
import type { ContentPart } from "../providers/content.ts";
import type { FinishReason, TokenUsage } from "../providers/provider.ts";
import { openExisting, openNew, runState, settle, settleReserved } from "./turn.statements.ts";

/** A message as the context of a turn needs it. */
export interface HistoryMessage {
  messageId: string;
  role: "user" | "assistant";
  content: ContentPart[];
  /** Estimated tokens, at least what the provider will count. */
  tokens: number;
}

/** What is known when a turn begins. All ids are UUIDv7 made by the caller. */
export interface TurnOpening {
  runId: string;
  userId: string;
  apiKeyId: string | undefined;
  /** Undefined: make `newConversationId`. */
  conversationId: string | undefined;
  newConversationId: string;
  /** Undefined: the conversation's head. */
  parentMessageId: string | undefined;
  userMessageId: string;
  assistantMessageId: string;
  content: readonly ContentPart[];
  tokens: number;
  metadata: Readonly<Record<string, string>>;
  /** For a new conversation. */
  title: string;
  /** For a new conversation. */
  system: string | undefined;
  model: string;
  /** History is read from the parent upwards until it has this many tokens. */
  historyTokens: number;
  idempotencyKey: string | undefined;
  /** SHA-256 of the request; only with idempotencyKey. */
  requestHash: Uint8Array | undefined;
}

/** What the database says to that. */
export interface OpenedTurn {
  conversationId: string;
  parentMessageId: string | undefined;
  /** The system prompt of the conversation. */
  system: string | undefined;
  /** Sequence of the user message; the answer's is the next one. */
  sequence: number;
  createTime: Date;
  /** How many messages its branch has, with it. */
  depth: number;
  /** The branch that the message continues, the oldest first, without the new message. */
  history: HistoryMessage[];
}

export type OpeningRefusal =
  | { refused: "conversation_not_found" }
  | { refused: "parent_not_found" }
  /** Another run has this idempotency key. */
  | { refused: "idempotency_key_taken" };

export type TurnStatus = "completed" | "failed" | "cancelled" | "interrupted";

/** How a turn ended. */
export interface TurnSettlement {
  runId: string;
  conversationId: string;
  userId: string;
  apiKeyId: string | undefined;
  userMessageId: string;
  assistantMessageId: string;
  /** Sequence of the answer. */
  sequence: number;
  status: TurnStatus;
  content: readonly ContentPart[];
  tokens: number;
  finishReason: FinishReason | "budget" | "cancelled" | "error";
  model: string;
  provider: string;
  usage: TokenUsage;
  /** Undefined: the price is not known. */
  costMicros: bigint | undefined;
  /** Which price table the cost was computed from. */
  priceVersion: string;
  /** Whether any of the tokens are Tribe's estimate. */
  estimated: boolean;
  /** Whether it may have a budget reservation, which then ends too. */
  isReserved: boolean;
  errorReason: string | undefined;
  errorMessage: string | undefined;
}

/** The two statements of the hot path, and what belongs to them. */
export interface TurnRepository {
  /**
   * One statement, one round trip: makes or locks the conversation, takes two
   * sequence numbers, stores the user message and the run, and reads the branch.
   * Refused: nothing is stored.
   */
  open(opening: TurnOpening): Promise<OpenedTurn | OpeningRefusal>;
  /** Takes back an opening whose context turned out to be impossible. */
  discard(runId: string): Promise<void>;
  /**
   * One statement, one transaction: stores the answer, the usage row and the
   * run's end, and makes the answer the conversation's head. Settling a run twice changes
   * nothing; ABORTED when it ended otherwise, as when this process was taken for dead. When the conversation was deleted meanwhile, only the usage is kept.
   * Returns when the answer was stored.
   */
  settle(settlement: TurnSettlement): Promise<Date>;
}

/** Content that is a string is sealed. */
type History = [
  messageId: string,
  role: HistoryMessage["role"],
  content: ContentPart[] | string,
  tokens: number,
][];

/** What openExisting gives as JSON. */
type OpenedRow = [
  conversationId: string,
  parentMessageId: string | null,
  system: string | null,
  sequence: number,
  createTime: number,
  history: History | null,
  depth: number,
];

/** The turns in PostgreSQL. Content that jsonb cannot hold is mended on its way in. */
export function createTurnRepository(
  postgres: Postgres,
  vault: Vault = plainVault,
): TurnRepository {
  return {
    async open(opening) {
      if (opening.conversationId === undefined && opening.parentMessageId !== undefined) {
        return { refused: "parent_not_found" };
      }
      const values = openingValues(opening, vault);
      try {
        if (opening.conversationId === undefined) {
          const [row] = await postgres.run(openNew, values);
          return openedNew(opening, Number(row?.[0]));
        }
        values.push(opening.parentMessageId, opening.historyTokens);
        const [row] = await postgres.run(openExisting, values);
        return openedExisting(row?.[0] ?? "", vault);
      } catch (error) {
        if (violatedConstraint(error) !== "runs_idempotency_key_unique") throw error;
        return { refused: "idempotency_key_taken" };
      }
    },
    async settle(settlement) {
      const statement = settlement.isReserved ? settleReserved : settle;
      const [row] = await postgres.run(statement, settlementValues(settlement, vault));
      if (row?.[1] === "t") await assertSettledAlike(postgres, settlement);
      return new Date(Number(row?.[0]));
    },
    discard: (runId) => discard(postgres, runId),
  };
}

function openingValues(opening: TurnOpening, vault: Vault): unknown[] {
  const conversationId = opening.conversationId ?? opening.newConversationId;
  const { userMessageId, system, metadata, requestHash } = opening;
  return [
    conversationId,
    opening.userId,
    vault.text(opening.title, "conversation/title", conversationId),
    system === undefined ? null : vault.text(system, "conversation/system", conversationId),
    userMessageId,
    vault.jsonb(opening.content, "message/content", userMessageId),
    opening.tokens,
    isEmpty(metadata) ? null : vault.jsonb(metadata, "message/metadata", userMessageId),
    opening.runId,
    opening.apiKeyId,
    opening.assistantMessageId,
    opening.model,
    opening.idempotencyKey,
    requestHash && vault.digest(requestHash),
  ];
}

function isEmpty(metadata: Readonly<Record<string, string>>): boolean {
  for (const _ in metadata) return false;
  return true;
}

function openedNew(opening: TurnOpening, createTime: number): OpenedTurn {
  return {
    conversationId: opening.newConversationId,
    parentMessageId: undefined,
    system: opening.system,
    sequence: 1,
    createTime: new Date(createTime),
    depth: 1,
    history: [],
  };
}

function openedExisting(json: string, vault: Vault): OpenedTurn | OpeningRefusal {
  if (json === "parent") return { refused: "parent_not_found" };
  if (json === "conversation") return { refused: "conversation_not_found" };
  const [conversationId, parentMessageId, system, sequence, createTime, history, depth] =
    JSON.parse(json) as OpenedRow;
  return {
    conversationId,
    parentMessageId: parentMessageId ?? undefined,
    system:
      system === null ? undefined : vault.fromText(system, "conversation/system", conversationId),
    sequence,
    createTime: new Date(createTime),
    depth,
    history: (history ?? []).map(([messageId, role, content, tokens]) => ({
      messageId,
      role,
      content: vault.fromJsonb(content, "message/content", messageId),
      tokens,
    })),
  };
}

/** The run had ended before: by us, when the answer to our first attempt was lost, or by others. */
async function assertSettledAlike(postgres: Postgres, settlement: TurnSettlement): Promise<void> {
  const [row] = await postgres.run(runState, [settlement.runId]);
  const state = row?.[0];
  if (state === settlement.status) return;
  throw new DomainError("ABORTED", "RUN_SETTLED", `the run had already ended as ${state}`);
}

function settlementValues(settlement: TurnSettlement, vault: Vault): unknown[] {
  const { usage, errorReason, errorMessage } = settlement;
  return [
    settlement.runId,
    settlement.conversationId,
    settlement.status,
    toText(settlement.model),
    settlement.provider,
    errorReason,
    errorMessage === undefined ? null : vault.text(errorMessage, "run/error", settlement.runId),
    vault.jsonb(settlement.content, "message/content", settlement.assistantMessageId),
    settlement.tokens,
    settlement.finishReason,
    usage.inputTokens,
    usage.cachedInputTokens,
    usage.cacheWriteTokens,
    usage.outputTokens,
    usage.reasoningTokens,
    settlement.costMicros,
    settlement.userId,
    settlement.apiKeyId,
    settlement.priceVersion,
    settlement.estimated,
  ];
}

/**
 * Deletes the question and its run, and the conversation if they made it. A question
 * that somebody has already answered or branched from stays, without its run.
 */
function discard(postgres: Postgres, runId: string): Promise<void> {
  return postgres.work((em) =>
    em.transactional(async (em) => {
      await em.execute("delete from budget_reservations where run_id = ?", [runId]);
      // The lock, and the new snapshot of the next statement, keep out whoever is
      // about to continue from this very question.
      await em.execute(
        `select from messages where id =
           (select user_message_id from runs where id = ? and state = 'running') for update`,
        [runId],
      );
      await em.execute(
        `with run as (
           select * from runs where id = ? and state = 'running'
         ), question as (
           delete from messages using run
           where messages.id = run.user_message_id
             and not exists (select from messages child where child.parent_id = run.user_message_id
               and child.conversation_id = run.conversation_id)
           returning messages.id
         ), made as (
           delete from conversations using run, question
           where conversations.id = run.conversation_id and conversations.version = 1
             and conversations.create_time = run.start_time
         )
         delete from runs using run where runs.id = run.id`,
        [runId],
      );
    }),
  );
}
