/** Does what a plan's operations say, each as the client of its user would. */
import { setTimeout as delay } from "node:timers/promises";
import { ask, askStreaming, type Clients, type OnEvent, type Question, resume } from "./caller.ts";
import { createObservation, type Observation } from "./observations.ts";
import type { Operation, UserName } from "./plan.ts";
import { questionOf } from "./words.ts";

/** Clients of both services, for each user. */
export type UserClients = Record<UserName, readonly [Clients, Clients]>;

/** Between two tries of a client that will not give up. */
const pauseMs = 150;

/** Runs operations; `deadline` is when clients give up, by Date.now(). */
export function createOperator(clients: UserClients, deadline: number) {
  const observations = new Map<number, Observation>();

  async function run(operation: Operation): Promise<void> {
    const seen = createObservation(operation);
    observations.set(operation.id, seen);
    const question = toQuestion(operation);
    if (operation.retried === "twice") {
      await Promise.all([
        retryUntilAnswered(seen, question, 0),
        retryUntilAnswered(seen, question, 1),
      ]);
    } else if (operation.retried === "after_loss") {
      await retryUntilAnswered(seen, question, operation.service);
    } else if (operation.call === "unary") {
      await ask(clientsOf(operation, operation.service), question, seen);
    } else {
      const begun = await askStreaming(
        clientsOf(operation, operation.service),
        question,
        seen,
        interruption(seen),
      );
      if (begun !== "answered" && seen.runIds.size > 0) await resumeUntilAnswered(seen);
    }
  }

  function clientsOf({ user }: Operation, service: number): Clients {
    return clients[user][service % 2 === 0 ? 0 : 1];
  }

  /** What a client does in the middle of its stream. */
  function interruption(seen: Observation): OnEvent {
    const { operation } = seen;
    return (_, count) => {
      if (count === operation.leavesAfter) return "leave";
      if (count === operation.cancelsAfter) {
        const [runId = ""] = seen.runIds;
        const other = clientsOf(operation, operation.service + 1);
        // The stream tells what came of it.
        other.chat.cancelRun({ runId }).catch(() => {});
      }
      return "go_on";
    };
  }

  async function retryUntilAnswered(seen: Observation, question: Question, first: number) {
    const { operation } = seen;
    for (let service = first; Date.now() < deadline; service += 1) {
      const clients = clientsOf(operation, service);
      const call = operation.call === "unary" ? ask : askStreaming;
      const outcome = await call(clients, question, seen);
      if (outcome === "answered" || isFinal(seen)) return;
      await delay(pauseMs);
    }
    seen.errors.push("gave up");
  }

  async function resumeUntilAnswered(seen: Observation): Promise<void> {
    const [runId = ""] = seen.runIds;
    for (let service = seen.operation.service + 1; Date.now() < deadline; service += 1) {
      const after = Math.max(0, ...seen.streams.flatMap(({ sequences }) => sequences));
      const outcome = await resume(clientsOf(seen.operation, service), runId, after, seen);
      if (outcome === "answered") return;
      await delay(pauseMs);
    }
    seen.errors.push("gave up");
  }

  function toQuestion(operation: Operation): Question {
    const { id, repeats, continues, branchFrom } = operation;
    const earlier = continues === undefined ? undefined : observations.get(continues);
    const [answer] = earlier?.answers ?? [];
    const [userMessage] = earlier?.questions.values() ?? [];
    const conversationId = answer?.conversationId ?? userMessage?.conversationId;
    const parentMessageId =
      branchFrom === "answer" ? answer?.assistantMessage?.messageId : userMessage?.messageId;
    return {
      content: [{ part: { case: "text", value: questionOf(repeats ?? id) } }],
      ...(operation.retried && { idempotencyKey: `operation-${id}` }),
      ...(conversationId !== undefined && { conversationId }),
      ...(branchFrom && parentMessageId !== undefined && { parentMessageId }),
    };
  }

  return { run, observations };
}

/** Trying again would not help: a limit that takes longer than the drill, or a mistake. */
function isFinal({ errors }: Observation): boolean {
  return /^(ResourceExhausted|InvalidArgument|NotFound|FailedPrecondition|AlreadyExists) /.test(
    errors.at(-1) ?? "",
  );
}
