import { identityKeys } from "./config-identity.ts";
import type { ConfigKey } from "./config-key.ts";
import { postgresKeys } from "./config-postgres.ts";
import { redisKeys } from "./config-redis.ts";

/** Every environment variable that Tribe reads, in the order of the README's table. */
export const configKeys = [
  {
    name: "NODE_ENV",
    default: "development",
    meaning:
      "`development`, `test` or `production`. Production refuses the embedded PostgreSQL and Redis and the demo model.",
  },
  {
    name: "HOST",
    default: "127.0.0.1, in production 0.0.0.0",
    meaning: "Address that the ports listen on.",
  },
  {
    name: "HTTP_PORT",
    default: "8080",
    meaning: "Port of REST, Connect and gRPC-Web. 0 takes a free one.",
  },
  { name: "GRPC_PORT", default: "9090", meaning: "Port of gRPC (h2c). 0 takes a free one." },
  {
    name: "METRICS_PORT",
    default: "9464",
    meaning: "Port of `/metrics`. 0 takes a free one; `off` measures nothing and opens no port.",
  },
  {
    name: "TRUSTED_PROXIES",
    default: "none",
    meaning:
      "Proxies whose `x-forwarded-for` says who calls, comma-separated IP addresses and `address/prefix`. Whoever else sends that header is not believed.",
  },
  {
    name: "CORS_ORIGINS",
    default: "none",
    meaning:
      "Browser origins that may call REST, comma-separated like `https://app.example.com`, or `*` for all. Callers identify themselves with a token or key; cookies are not sent.",
  },
  ...postgresKeys,
  ...redisKeys,
  { name: "OPENAI_API_KEY", default: "none", meaning: "Key of OpenAI or of OPENAI_BASE_URL." },
  {
    name: "OPENAI_BASE_URL",
    default: "https://api.openai.com/v1",
    meaning:
      "Any server that speaks the OpenAI API, for example `http://127.0.0.1:11434/v1`; it may need no key.",
  },
  { name: "ANTHROPIC_API_KEY", default: "none", meaning: "Key of Anthropic." },
  {
    name: "ANTHROPIC_BASE_URL",
    default: "https://api.anthropic.com",
    meaning: "Any server that speaks the Anthropic API.",
  },
  {
    name: "DEFAULT_MODEL",
    default: "the first model of the first provider that has a key",
    meaning: "Model that answers a request that names none.",
  },
  {
    name: "MODELS_FILE",
    default: "the built-in list",
    meaning: "JSON file of models, deployments, fallbacks and prices.",
  },
  {
    name: "SECRET_KEY",
    default: "made once and kept in TRIBE_DIR; in production ADMIN_API_KEY",
    meaning:
      "What API keys are hashed and the audit log is chained with; at least 32 bytes, the same on all instances. To replace it, put the new one in front of the old one with a comma between.",
  },
  {
    name: "CONTENT_KEY",
    default: "none: content is stored in the clear",
    meaning:
      "Encrypts messages, titles, system prompts and metadata at rest; at least 32 bytes, the same on all instances. Turns search off. To replace it see docs/security.md.",
  },
  ...identityKeys,
  { name: "SENTRY_DSN", default: "none", meaning: "Sentry project that unknown errors go to." },
  {
    name: "SENTRY_TRACES",
    default: "off",
    meaning:
      "`on` sends the recorded calls to Sentry, too, as transactions without content; OTEL_TRACES_SAMPLER_ARG says how many.",
  },
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    default: "none",
    meaning:
      "OpenTelemetry collector that traces go to, by OTLP over HTTP; `/v1/traces` is added. OTEL_EXPORTER_OTLP_HEADERS is sent along.",
  },
  {
    name: "OTEL_SERVICE_NAME",
    default: "tribe",
    meaning: "What this service is called in traces.",
  },
  {
    name: "OTEL_TRACES_SAMPLER_ARG",
    default: "0.01",
    meaning:
      "Part of the traces that begin here that is recorded, 0 to 1. A call that comes with a `traceparent` is recorded if that says so.",
  },
  {
    name: "TRACE_CONTENT",
    default: "off",
    meaning: "`on` records in traces what people and models say.",
  },
  {
    name: "TRACE_PROVIDERS",
    default: "off",
    meaning: "`on` sends `traceparent` to providers.",
  },
  {
    name: "LOG_LEVEL",
    default: "info",
    meaning: "`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.",
  },
  {
    name: "MAX_CALLS",
    default: "5000",
    meaning:
      "Calls, and runs, that one process has under way before it refuses more. Search and export are refused first, from 60 % on, chat turns last.",
  },
  {
    name: "MAX_EVENT_LOOP_DELAY",
    default: "500",
    meaning:
      "Milliseconds that the event loop may be late on average before calls are refused, in the same order.",
  },
  {
    name: "RUN_LEASE",
    default: "30",
    meaning:
      "Seconds without a sign of life after which the process of a run counts as dead, and the run is ended as interrupted. A process gives six signs in that time. At most 120, the same on all instances.",
  },
  {
    name: "GRPC_REFLECTION",
    default: "on",
    meaning: "`off` tells nobody on the gRPC port what is served there.",
  },
  {
    name: "SHUTDOWN_PAUSE",
    default: "5 in production, else 0",
    meaning:
      "Seconds from not being ready to taking no new calls when Tribe is stopped, for load balancers to notice.",
  },
  {
    name: "SHUTDOWN_TIMEOUT",
    default: "30",
    meaning: "Seconds that running turns get to finish when Tribe is stopped.",
  },
  {
    name: "TRIBE_DIR",
    default: ".tribe",
    meaning: "Folder of the embedded PostgreSQL and Redis and of the administrator's key.",
  },
  {
    name: "TRIBE_SERVER",
    default: "the database of DATABASE_URL, else 127.0.0.1:9090",
    meaning:
      "For the command line: gRPC port of the service to ask, `host:port`, or `https://host:port` for TLS.",
  },
  {
    name: "TRIBE_API_KEY",
    default: "the key in TRIBE_DIR",
    meaning: "For the command line: API key to ask the service with.",
  },
] as const satisfies readonly ConfigKey[];

/** The name of an environment variable that Tribe reads. */
export type ConfigKeyName = (typeof configKeys)[number]["name"];
