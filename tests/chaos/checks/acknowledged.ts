import { byId, type Check, type Facts } from "../facts.ts";
import type { Message } from "../../../gen/tribe/v1/message_pb.js";
import type { SeenFailure } from "../observations.ts";
import type { StoredMessageRow } from "../stored.ts";

/** Reasons by which a client is told that an answer is not stored, or not by its process. */
const lossReasons = new Set(["ANSWER_NOT_STORED", "RUN_LOST"]);

/** What clients were told is what is stored. */
export const checkAcknowledged: Check = (facts) => {
  const messages = byId(facts.stored.messages);
  const runs = byId(facts.stored.runs);
  const violations: string[] = [];
  for (const { operation, questions, answers, failures, runIds } of facts.observations) {
    if (isWithdrawn(failures)) {
      if ([...runIds].some((runId) => runs.has(runId)))
        violations.push(`operation ${operation.id}: its run was told as withdrawn, and is stored`);
      continue;
    }
    const who = `operation ${operation.id}`;
    for (const question of questions.values()) {
      if (!isStored(question, messages.get(question.messageId)))
        violations.push(
          `${who}: the question ${question.messageId} that was told is not stored so`,
        );
    }
    for (const { runId, assistantMessage, usage, costMicros } of answers) {
      const row = messages.get(assistantMessage?.messageId ?? "");
      if (!assistantMessage || !isStored(assistantMessage, row) || row?.runId !== runId)
        violations.push(`${who}: the answer of run ${runId} that was told is not stored so`);
      else if (
        row.inputTokens !== Number(usage?.inputTokens) ||
        row.outputTokens !== Number(usage?.outputTokens) ||
        row.costMicros !== Number(costMicros)
      )
        violations.push(`${who}: run ${runId} is stored with another usage or cost than was told`);
      if (runs.get(runId)?.state !== "completed")
        violations.push(`${who}: run ${runId} was told as completed, and is not`);
    }
    for (const failure of failures) {
      const state = runs.get(failure.runId)?.state;
      if (!lossReasons.has(failure.reason) && !fits(failure, state, messages))
        violations.push(
          `${who}: run ${failure.runId} was told as ${failure.state ?? "broken off"} (${failure.reason}), and is stored as ${state}`,
        );
    }
    for (const runId of runIds) {
      if (!runs.has(runId)) violations.push(`${who}: run ${runId} that was told is not stored`);
    }
  }
  return [...violations, ...checkForgotten(facts)];
};

function fits(
  { state, message }: SeenFailure,
  stored: string | undefined,
  messages: ReadonlyMap<string, StoredMessageRow>,
): boolean {
  if (state === undefined) return stored !== undefined && stored !== "completed";
  return (
    state.endsWith(stored ?? "nothing") &&
    (!message || isStored(message, messages.get(message.messageId)))
  );
}

function isStored(told: Message, row: StoredMessageRow | undefined): boolean {
  return (
    row !== undefined &&
    row.text === textOf(told) &&
    row.sequence === Number(told.sequence) &&
    row.conversationId === told.conversationId &&
    (row.parentId ?? "") === told.parentMessageId
  );
}

function textOf({ content }: Message): string {
  return content.map(({ part }) => (part.case === "text" ? part.value : "")).join("");
}

/** A retry may follow a run whose own request is refused a moment later, and taken back. */
function isWithdrawn(failures: readonly SeenFailure[]): boolean {
  return failures.some(({ reason }) => reason === "RUN_WITHDRAWN");
}

/** Longer than everything that a call may wait for: the database, its limits, the provider. */
const longestErrorMs = 30_000;

/** Nobody waits for ever. */
function checkForgotten({ observations }: Facts): string[] {
  return observations.flatMap(({ operation, longestErrorMs: waited, errors }) => [
    ...(waited > longestErrorMs
      ? [`operation ${operation.id}: a call hung for ${Math.round(waited)} ms`]
      : []),
    ...(errors.includes("gave up")
      ? [`operation ${operation.id} was never answered: ${errors.slice(-3).join(", ")}`]
      : []),
  ]);
}
