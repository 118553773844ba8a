import { randomUUIDv7 } from "node:crypto";
import { DomainError, notFound } from "../errors.ts";
import type { Caller } from "../identity/caller.ts";
import type { ContentPart } from "../providers/content.ts";
import type { ModelChoice, Models } from "../providers/models.ts";
import type { ModelMessage, ModelRequest } from "../providers/provider.ts";
import { estimateContentTokens } from "../providers/tokens.ts";
import type { Budgets } from "../usage/budgets.ts";
import type { Reservation } from "../usage/reservation.ts";
import type { Admit } from "./admission.ts";
import type { LookUp } from "./answer-cache.ts";
import { buildContext, historyTokens, windowLimits } from "./context-window.ts";
import type { Generate } from "./generation.ts";
import type { RunFinder } from "./run-finder.ts";
import type { LiveRun } from "./run.ts";
import type { Runs } from "./runs.ts";
import type { Settler } from "./settle.ts";
import { titleOf } from "./title.ts";
import type { TurnRequest } from "./turn-request.ts";
import type { OpenedTurn, OpeningRefusal, TurnRepository } from "./turn.repository.ts";

/** What a turn is made with. */
export interface TurnParts {
  admit: Admit;
  finder: RunFinder;
  models: Models;
  repository: TurnRepository;
  settler: Settler;
  budgets: Budgets;
  runs: Runs;
  lookUp: LookUp;
  generate: Generate;
}

/**
 * Answers one message: returns once it is stored and its run has begun. `addHeaders` is told
 * what callers may know before the answer: how they stand with their limits, and whether the
 * answer is in the cache. `signal` aborts when the caller listens no more.
 */
export type Turn = (
  request: TurnRequest,
  caller: Caller,
  addHeaders: (headers: Readonly<Record<string, string>>) => void,
  signal: AbortSignal,
) => Promise<LiveRun>;

/**
 * One chat turn. The run outlives its caller: whoever leaves can follow it again
 * by run id. A turn that rejects has stored nothing.
 */
export function createTurn(parts: TurnParts): Turn {
  const { admit, finder, models, repository, settler, budgets, runs, lookUp, generate } = parts;

  return async function turn(request, caller, addHeaders, signal) {
    const ids = {
      runId: randomUUIDv7(),
      userMessageId: randomUUIDv7(),
      assistantMessageId: randomUUIDv7(),
    };
    const question = { content: request.content, tokens: estimateContentTokens(request.content) };
    // A retry costs nothing: it gets the first run before anything else is looked at.
    const admission = await admit({
      request,
      caller,
      runId: ids.runId,
      model: named(request.model)?.model,
      questionTokens: question.tokens,
      signal,
    });
    if ("earlier" in admission) return admission.earlier;
    addHeaders(admission.headers);
    try {
      const run = await begin(request, caller, ids, question, addHeaders, signal);
      if (run.runId === ids.runId) admission.settleWith(run);
      else admission.undo();
      return run;
    } catch (error) {
      admission.release();
      throw error;
    }
  };

  /** Undefined: there is no such model, which is refused once the request is counted. */
  function named(model: string | undefined): ModelChoice | undefined {
    return model === undefined ? models.resolve(model) : models.find(model);
  }

  async function begin(
    request: TurnRequest,
    caller: Caller,
    ids: TurnIds,
    question: Question,
    addHeaders: Parameters<Turn>[2],
    signal: AbortSignal,
  ): Promise<LiveRun> {
    runs.admit();
    const choice = models.resolve(request.model);
    const limits = windowLimits(choice, request.parameters);
    refuseEarly();

    const opening = {
      ...ids,
      userId: caller.userId,
      apiKeyId: caller.apiKeyId,
      conversationId: request.conversationId,
      newConversationId: randomUUIDv7(),
      parentMessageId: request.parentMessageId,
      content: question.content,
      tokens: question.tokens,
      metadata: request.metadata,
      title: titleOf(question.content),
      system: request.parameters.system,
      model: choice.model,
      historyTokens: historyTokens(limits, question.tokens),
      idempotencyKey: request.idempotencyKey,
      requestHash: request.requestHash,
    };
    let opened = await repository.open(opening);
    if ("refused" in opened) {
      // Two retries at once, and the other was first.
      const winner = await finder.findEarlier(request, caller, signal);
      if (winner) return winner;
      // The key had been used long ago, and looking for it has set it free.
      if (opened.refused === "idempotency_key_taken") opened = await repository.open(opening);
    }
    if ("refused" in opened) throw refusal(opened, request);
    const { complete, ...prepared } = await prepare(opened);
    const { runId } = ids;
    const { bypassCache: bypass } = request;
    const cache = await lookUp({ runId, caller, choice, request: complete, bypass });
    addHeaders({ "x-tribe-cache": cache.status });
    return runs.start(runId, caller.userId, (run) =>
      generate(run, { ...ids, ...prepared, caller, request, choice, question, opened, cache }),
    );

    /** Refuses what the request alone shows to be impossible, before anything is stored. */
    function refuseEarly(): void {
      // Tool results are judged with the calls that they answer, which are stored.
      if (request.conversationId === undefined) buildContext([], { ...question, depth: 1 }, limits);
      const messages: ModelMessage[] = [{ role: "user", content: question.content }];
      models.check(choice, { ...request.parameters, model: choice.upstreamModel, messages });
      budgets.check(caller, choice);
    }

    /** The request as the provider gets it, paid for. What is impossible, or too dear, is taken back. */
    async function prepare(opened: OpenedTurn): Promise<PreparedRequest> {
      try {
        const complete = withContext(opened);
        if (!budgets.mayLimit(caller)) {
          return { complete, modelRequest: complete, reservation: undefined };
        }
        const { answerTokens } = limits;
        const wish = { runId: ids.runId, caller, choice, request: complete, answerTokens };
        const reservation = await budgets.reserve(wish);
        const modelRequest = reservation
          ? { ...complete, maxOutputTokens: reservation.maxOutputTokens }
          : complete;
        return { complete, modelRequest, reservation };
      } catch (error) {
        await settler.discard(ids.runId);
        throw error;
      }
    }

    function withContext({ system: stored, history, depth }: OpenedTurn): ModelRequest {
      const system = request.parameters.system ?? stored;
      const parameters =
        system === undefined ? request.parameters : { ...request.parameters, system };
      const limits = windowLimits(choice, parameters);
      const messages = buildContext(history, { ...question, depth }, limits);
      const complete = { ...parameters, model: choice.upstreamModel, messages };
      if (history.length > 0) models.check(choice, complete);
      return complete;
    }
  }
}

/** A request that may be sent. */
interface PreparedRequest {
  /** As the caller wants it. */
  complete: ModelRequest;
  /** As its budgets pay it. */
  modelRequest: ModelRequest;
  /** Undefined: no budget limits it. */
  reservation: Reservation | undefined;
}

interface TurnIds {
  runId: string;
  userMessageId: string;
  assistantMessageId: string;
}

interface Question {
  content: ContentPart[];
  tokens: number;
}

function refusal({ refused }: OpeningRefusal, request: TurnRequest): DomainError {
  switch (refused) {
    case "conversation_not_found":
      return notFound("conversation", request.conversationId ?? "");
    case "parent_not_found":
      return new DomainError(
        "NOT_FOUND",
        "NOT_FOUND",
        `parentMessageId: conversation ${request.conversationId} has no message ${request.parentMessageId}`,
        { metadata: { resource: "message", id: request.parentMessageId ?? "" } },
      );
    case "idempotency_key_taken":
      return new DomainError(
        "ABORTED",
        "IDEMPOTENCY_KEY_RACE",
        "another request with this idempotency key has just ended; try again",
        { retryAfterSeconds: 1 },
      );
  }
}
