import { setTimeout as delay } from "node:timers/promises";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  RunState,
  type ChatService,
  type Run,
  type SendMessageRequest,
} from "../../gen/tribe/v1/chat_pb.js";
import { DomainError, notFound } from "../errors.ts";
import { requireCaller, type Caller } from "../identity/caller.ts";
import type { Models } from "../providers/models.ts";
import { addCallFacts } from "../rpc/call.ts";
import type { Cancellation } from "./cancellation.store.ts";
import { listModels } from "./models.rpc.ts";
import {
  toResumeRunResponse,
  toSendMessageResponse,
  toStreamMessageResponse,
} from "./run-event.rpc.ts";
import type { RunFinder } from "./run-finder.ts";
import type { RunRepository, StoredRun } from "./run.repository.ts";
import type { LiveRun } from "./run.ts";
import { toTurnRequest } from "./turn-request.rpc.ts";
import type { TurnResult } from "./turn-result.ts";
import type { Turn } from "./turn.ts";

export interface ChatServiceParts {
  turn: Turn;
  models: Models;
  cancellation: Cancellation;
  finder: RunFinder;
  runRepository: RunRepository;
}

/** How long CancelRun waits for the run to be settled; then it says RUNNING, and the run ends later. */
const cancelPatienceMs = 5_000;

/** The chat RPCs: proto to domain and back. */
export function createChatService(parts: ChatServiceParts): ServiceImpl<typeof ChatService> {
  const { turn, models, finder, cancellation, runRepository } = parts;

  async function begin(request: SendMessageRequest, context: HandlerContext): Promise<LiveRun> {
    const key = context.requestHeader.get("idempotency-key");
    const caller = requireCaller(context.values);
    const addHeaders = (headers: Readonly<Record<string, string>>) => {
      for (const name in headers) context.responseHeader.set(name, headers[name] ?? "");
    };
    const run = await turn(toTurnRequest(request, key), caller, addHeaders, context.signal);
    addCallFacts(context.values, { runId: run.runId });
    return run;
  }

  async function storedRun(runId: string, context: HandlerContext): Promise<StoredRun> {
    const stored = await runRepository.find(runId, requireCaller(context.values).userId);
    if (!stored) throw notFound("run", runId);
    return stored;
  }

  /** Waits for a run to end, at most for as long as its process may take to notice. */
  async function endOf(runId: string, caller: Caller, signal: AbortSignal): Promise<void> {
    const run = await finder.find(runId, caller, 1, signal);
    await Promise.race([run?.ended, delay(cancelPatienceMs, undefined, { signal, ref: false })]);
  }

  return {
    async sendMessage(request, context) {
      const run = await begin(request, context);
      // The interceptors give the call up when its caller does; the run goes on.
      const last = await run.ended;
      noteResult(context, last.result);
      if (last.type === "failed") throw failureOf(last.error, last.result);
      return toSendMessageResponse(last.result);
    },
    async *streamMessage(request, context) {
      const run = await begin(request, context);
      let sequence = 0;
      for await (const event of run.follow(0, context.signal)) {
        if (event.type === "completed" || event.type === "failed")
          noteResult(context, event.result);
        yield toStreamMessageResponse(++sequence, event);
      }
    },
    async *resumeRun(request, context) {
      let sequence = Number(request.afterSequence);
      const { signal, values } = context;
      const run = await finder.find(request.runId, requireCaller(values), sequence, signal);
      if (!run) throw notFound("run", request.runId);
      for await (const event of run.follow(sequence, signal)) {
        yield toResumeRunResponse(++sequence, event);
      }
    },
    async getRun(request, context) {
      return { run: toProtoRun(await storedRun(request.runId, context)) };
    },
    async cancelRun(request, context) {
      const caller = requireCaller(context.values);
      const { state } = await storedRun(request.runId, context);
      if (state === "running") {
        await cancellation.cancel(request.runId, caller.userId);
        await endOf(request.runId, caller, context.signal);
      }
      return { run: toProtoRun(await storedRun(request.runId, context)) };
    },
    listModels: (request) => listModels(models, request),
  };
}

function noteResult(
  context: HandlerContext,
  { conversationId, assistantMessage, cached, attempts = 1 }: TurnResult,
): void {
  const { answer } = assistantMessage;
  addCallFacts(context.values, {
    conversationId,
    cached,
    ...(answer && { model: answer.model, provider: answer.provider }),
    ...(answer?.usage && {
      inputTokens: answer.usage.inputTokens,
      outputTokens: answer.usage.outputTokens,
    }),
    ...(answer?.costMicros !== undefined && { costMicros: Number(answer.costMicros) }),
    ...(attempts > 1 && { attempts }),
  });
}

/** The failure of a run, with the ids by which its messages are found. */
function failureOf(error: DomainError, result: TurnResult): DomainError {
  const { code, reason, message, fields, quotas, retryAfterSeconds, metadata, cause } = error;
  return new DomainError(code, reason, message, {
    fields,
    quotas,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    metadata: {
      ...metadata,
      runId: result.runId,
      conversationId: result.conversationId,
      userMessageId: result.userMessage.messageId,
      assistantMessageId: result.assistantMessage.messageId,
    },
    cause,
  });
}

const runStates = {
  running: RunState.RUNNING,
  completed: RunState.COMPLETED,
  failed: RunState.FAILED,
  cancelled: RunState.CANCELLED,
  interrupted: RunState.INTERRUPTED,
};

function toProtoRun(stored: StoredRun): Run {
  return {
    $typeName: "tribe.v1.Run",
    runId: stored.runId,
    conversationId: stored.question.conversationId,
    userMessageId: stored.question.messageId,
    assistantMessageId: stored.assistantMessageId,
    state: runStates[stored.state],
    model: stored.model,
    startTime: timestampFromDate(stored.startTime),
    ...(stored.endTime && { endTime: timestampFromDate(stored.endTime) }),
    errorReason: stored.errorReason ?? "",
  };
}
