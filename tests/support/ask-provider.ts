import { afterAll, afterEach, beforeAll } from "vitest";
import type { ClosableProvider, ModelRequest } from "../../src/providers/provider.ts";
import { startProviderServer, type ProviderServer } from "./provider-server/provider-server.ts";
import type { Reply } from "./provider-server/reply.ts";
import { recordAnswer } from "./record-answer.ts";

/** Connects a provider to a provider server for the tests of a file, and asks it. */
export function connectProvider(
  connect: (server: ProviderServer) => ClosableProvider,
  model: string,
) {
  let server: ProviderServer | undefined;
  let provider: ClosableProvider | undefined;
  const question: ModelRequest = {
    model,
    messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
  };
  beforeAll(async () => {
    server = await startProviderServer();
    provider = connect(server);
  });
  afterAll(async () => {
    await provider?.close();
    await server?.close();
  });
  afterEach(() => void server?.requests.splice(0));
  return {
    question,
    server: () => server!,
    /** Asks the question with changes; the server answers with the script. */
    async ask(change: Partial<ModelRequest> = {}, ...script: Reply[]) {
      server!.script(...script);
      const answer = recordAnswer();
      const { signal } = new AbortController();
      const result = await provider!.answer({ ...question, ...change }, answer, signal);
      const { body = {}, headers = {} } = server!.requests.at(-1) ?? {};
      return { answer, result, body, headers };
    },
  };
}
