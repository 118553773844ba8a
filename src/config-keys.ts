/** An environment variable that Tribe reads. README's table is checked against these. */
export interface ConfigKey {
  /** Name in the environment; `<name>_FILE` names a file that holds the value instead. */
  readonly name: string;
  /** What applies without it, in words. */
  readonly default: string;
  /** What it means, with its unit and its legal values. */
  readonly meaning: string;
}

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
  {
    name: "DATABASE_URL",
    default: "an embedded PostgreSQL in TRIBE_DIR",
    meaning: "PostgreSQL: `postgres://user:password@host:5432/database`.",
  },
  {
    name: "DATABASE_REPLICA_URLS",
    default: "none",
    meaning:
      "Streaming standbys of DATABASE_URL, comma-separated. Lists, search and sums are read there, from one that has all that was committed.",
  },
  {
    name: "DATABASE_SERVICE_ROLE",
    default: "none",
    meaning:
      "Read by `npm run migrate` only: the role that the service connects as, which then gets the privileges that it needs and no more (docs/database-roles.md).",
  },
  {
    name: "DATABASE_CA",
    default: "the authorities that Node trusts",
    meaning:
      "PEM certificates of the authority to trust for PostgreSQL, best as DATABASE_CA_FILE. With it every connection is TLS with a server whose name is checked; without it `sslmode` and `sslrootcert` in the URL decide.",
  },
  {
    name: "DATABASE_CERTIFICATE",
    default: "none",
    meaning: "PEM certificate that Tribe shows to PostgreSQL.",
  },
  {
    name: "DATABASE_CERTIFICATE_KEY",
    default: "none",
    meaning: "PEM private key of DATABASE_CERTIFICATE.",
  },
  {
    name: "REDIS_URL",
    default: "a redis-server found on the PATH, else in-process",
    meaning:
      "Redis: `redis://user:password@host:6379/0`, or `rediss://` for TLS. With REDIS_SENTINELS or REDIS_CLUSTER_NODES its user, password, TLS and database apply to the nodes and its host is not used.",
  },
  {
    name: "REDIS_SENTINELS",
    default: "none",
    meaning: "Sentinels, comma-separated `host:port` (port 26379 when left out).",
  },
  {
    name: "REDIS_MASTER_NAME",
    default: "none",
    meaning: "Name of the master that the sentinels watch; required with REDIS_SENTINELS.",
  },
  {
    name: "REDIS_CLUSTER_NODES",
    default: "none",
    meaning:
      "Some nodes of a Redis Cluster, comma-separated `host:port` (port 6379 when left out).",
  },
  {
    name: "REDIS_CA",
    default: "the authorities that Node trusts",
    meaning:
      "PEM certificates of the authority to trust for Redis, best as REDIS_CA_FILE; needs `rediss://`.",
  },
  {
    name: "REDIS_CERTIFICATE",
    default: "none",
    meaning: "PEM certificate that Tribe shows to Redis.",
  },
  {
    name: "REDIS_CERTIFICATE_KEY",
    default: "none",
    meaning: "PEM private key of REDIS_CERTIFICATE.",
  },
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
  {
    name: "JWT_SECRET",
    default: "none",
    meaning: "Signs own tokens with HS256; at least 32 bytes. Instead of JWT_PRIVATE_KEY.",
  },
  {
    name: "JWT_PRIVATE_KEY",
    default: "Ed25519 keys in the database, replaced every 30 days",
    meaning:
      "Signs own tokens; a PEM private key, Ed25519 or P-256, or several: the first signs, the others still verify. Instead of JWT_SECRET.",
  },
  {
    name: "ACCESS_TOKEN_LIFETIME",
    default: "600",
    meaning: "Seconds that an access token works.",
  },
  {
    name: "REFRESH_TOKEN_LIFETIME",
    default: "2592000",
    meaning: "Seconds after a sign-in at which refreshing ends.",
  },
  {
    name: "SESSION_IDLE_TIMEOUT",
    default: "43200",
    meaning: "Seconds without a call after which the session of a cookie ends.",
  },
  {
    name: "SESSION_LIFETIME",
    default: "604800",
    meaning: "Seconds after a sign-in at which the session of a cookie ends in any case.",
  },
  {
    name: "ALLOWED_ORIGINS",
    default: "none",
    meaning:
      "Origins beside Tribe's own whose pages may make calls with the cookie, comma-separated.",
  },
  {
    name: "ARGON2_MEMORY",
    default: "19456",
    meaning: "KiB that hashing a password takes. A changed cost is applied at the next sign-in.",
  },
  { name: "ARGON2_PASSES", default: "2", meaning: "Passes of hashing a password." },
  { name: "ARGON2_PARALLELISM", default: "1", meaning: "Lanes of hashing a password." },
  {
    name: "OIDC_ISSUER",
    default: "none",
    meaning: "Issuer whose tokens are accepted; its keys are found by OpenID discovery.",
  },
  {
    name: "OIDC_AUDIENCE",
    default: "none",
    meaning: "Audience that those tokens must carry; required with OIDC_ISSUER.",
  },
  {
    name: "OIDC_ROLE_CLAIM",
    default: "roles",
    meaning: "Claim of those tokens that names the role, or several; dots lead into objects.",
  },
  {
    name: "OIDC_DEFAULT_ROLE",
    default: "user",
    meaning: "`viewer`, `user` or `service`: the role of whom the claim gives none.",
  },
  {
    name: "ADMIN_API_KEY",
    default: "made once and kept in TRIBE_DIR",
    meaning:
      "API key of the first administrator; letters, digits and punctuation, in production at least 16 of them.",
  },
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
