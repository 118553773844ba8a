/** @musistudio/llms as a service: node llms-server.mjs PORT PROVIDER_ORIGIN */
import { createRequire } from "node:module";

// Its ES module build cannot be loaded (1.0.53: a dynamic require of a built-in).
const { default: Server } = createRequire(import.meta.url)("@musistudio/llms");

const [port, provider] = process.argv.slice(2);
const server = new Server({
  logger: { level: "info" },
  initialConfig: {
    PORT: port,
    HOST: "127.0.0.1",
    providers: [
      {
        name: "openai",
        api_base_url: `${provider}/v1/chat/completions`,
        api_key: "sk-bench",
        models: ["gpt-4o-mini"],
        // Its shortest way: one transformer, the endpoint's own, hands the body through.
        transformer: { use: ["OpenAI"] },
      },
    ],
  },
});
await server.start();
