/** A model on several provider servers, for the tests of failover. */
import type { CatalogModel, Deployment } from "../../src/providers/catalog.ts";
import { createAnthropicProvider } from "../../src/providers/anthropic/anthropic-provider.ts";
import { createModels, type ModelsOptions } from "../../src/providers/models.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import type { Answerer, AnswerSink } from "../../src/providers/model-answer.ts";
import type { ClosableProvider, ModelRequest, TokenUsage } from "../../src/providers/provider.ts";
import { createLocalCircuits } from "../../src/providers/circuits.ts";
import { recordAnswer, type RecordedAnswer } from "../support/record-answer.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

/** A clock that only moves when it is told to. */
export function createClock() {
  let time = 1000;
  return {
    now: () => time,
    advance(milliseconds: number) {
      time += milliseconds;
    },
  };
}

/** What an answer's sink was told about the attempts. */
export interface RecordedAttempts extends RecordedAnswer, Required<Omit<AnswerSink, "delta">> {
  readonly askedNames: string[];
  readonly spentTokens: { deployment: string; usage: TokenUsage; isEstimate: boolean }[];
  readonly failures: { deployment: string; error: unknown }[];
}

export function recordAttempts(): RecordedAttempts {
  const askedNames: string[] = [];
  const spentTokens: RecordedAttempts["spentTokens"] = [];
  const failures: RecordedAttempts["failures"] = [];
  return Object.assign(recordAnswer(), {
    askedNames,
    spentTokens,
    failures,
    asked: ({ deployment }: Answerer) => void askedNames.push(deployment),
    spent: ({ deployment }: Answerer, usage: TokenUsage, isEstimate: boolean) =>
      void spentTokens.push({ deployment, usage, isEstimate }),
    attempted: ({ deployment }: Answerer, error: unknown) =>
      void (error !== undefined && failures.push({ deployment, error })),
  });
}

/** Servers `a`, `b`, … (OpenAI's wire) and `anthropic`, and models on them. */
export async function startDeployments() {
  const servers = {
    a: await startProviderServer(),
    b: await startProviderServer(),
    anthropic: await startProviderServer(),
  };
  const providers = new Map<string, ClosableProvider>([
    ["a", createOpenAIProvider({ apiKey: "sk-a", baseUrl: servers.a.openaiUrl })],
    ["b", createOpenAIProvider({ apiKey: "sk-b", baseUrl: servers.b.openaiUrl })],
    ["anthropic", createAnthropicProvider({ apiKey: "sk-c", baseUrl: servers.anthropic.url })],
  ]);
  return {
    servers: servers as Record<"a" | "b" | "anthropic", ProviderServer>,
    /** Deployments are told apart by their names. Pauses are noted, not waited for. */
    models(entries: CatalogModel[], options: Partial<ModelsOptions> = {}) {
      const clock = createClock();
      const pauses: number[] = [];
      const models = createModels({
        providers: [],
        providerOf: ({ name = "" }) => providers.get(name),
        catalog: { priceVersion: "test", models: entries },
        circuits: createLocalCircuits({ now: clock.now }),
        ...options,
        failover: {
          random: () => 0.5,
          async pause(milliseconds) {
            pauses.push(milliseconds);
            clock.advance(milliseconds);
          },
          ...options.failover,
        },
      });
      const ask = async (
        model: string,
        change: Partial<ModelRequest> = {},
        signal: AbortSignal = new AbortController().signal,
      ) => {
        const sink = recordAttempts();
        const choice = models.resolve(model);
        const messages: ModelRequest["messages"] = [
          { role: "user", content: [{ type: "text", text: "Hello" }] },
        ];
        const request = { model: choice.upstreamModel, messages, ...change };
        const outcome = await models.answer(choice, request, sink, signal).then(
          (answer) => ({ answer, error: undefined }),
          (error: unknown) => ({ answer: undefined, error: error as Error & { reason?: string } }),
        );
        return { ...outcome, sink };
      };
      return { models, ask, clock, pauses };
    },
    reset() {
      for (const server of Object.values(servers)) server.requests.splice(0);
    },
    async close() {
      await Promise.all([...providers.values()].map((provider) => provider.close()));
      await Promise.all(Object.values(servers).map((server) => server.close()));
    },
  };
}

export function deployment(
  name: "a" | "b" | "anthropic",
  more: Partial<Deployment> = {},
): Deployment {
  const provider = name === "anthropic" ? "anthropic" : "openai";
  return { provider, model: "upstream", name, ...more };
}
