import { defineConfig } from "oxlint";

/**
 * The import rules of ARCHITECTURE.md, checked:
 * main -> app -> server -> { rpc, rest, openapi, capabilities }
 *   -> { providers, limits, postgres, redis, telemetry, embedded } -> { config, errors, gen }.
 */
const capabilities = [
  "chat",
  "conversations",
  "identity",
  "usage",
  "settings",
  "audit",
  "health",
  "anomalies",
  "retention",
];
const infrastructure = ["providers", "limits", "postgres", "redis", "telemetry", "embedded"];
const doors = ["rpc", "rest", "openapi"];

/** Forbids imports of these rooms (folders of src) from inside a room. */
function rooms(names: string[], message: string) {
  return { regex: `^(\\.\\./)+(${names.join("|")})/`, message };
}
const upstairs = {
  regex: "^(\\.\\./)+(app|main|entities)\\.ts$",
  message: "Only main enters app, and only app and migrate list the entities.",
};
const packages = {
  openai: { regex: "^openai($|/)", message: "Only providers/openai knows the openai SDK." },
  anthropic: {
    regex: "^@anthropic-ai/sdk($|/)",
    message: "Only providers/anthropic knows the Anthropic SDK.",
  },
  database: {
    regex: "^(@mikro-orm/.*|mikro-orm|pg|kysely)$",
    message: "Only postgres/, repositories and entities know the database.",
  },
  redis: {
    regex: "^(redis|@redis/.*)$",
    message: "Only redis/ and the stores built on it know Redis.",
  },
  http: {
    regex: "^(fastify|@grpc/grpc-js|@connectrpc/connect-(node|fastify))($|/)",
    message: "Only server/, rpc/ and rest/ know the transports.",
  },
};
type Pattern = { regex: string; message: string };
function forbid(files: string[], patterns: Pattern[]) {
  return { files, rules: { "no-restricted-imports": ["error", { patterns }] as never } };
}
const allPackages = Object.values(packages);
const allPackagesBut = (...names: (keyof typeof packages)[]) =>
  Object.entries(packages)
    .filter(([name]) => !names.includes(name as keyof typeof packages))
    .map(([, pattern]) => pattern);

const capabilityRules = [
  upstairs,
  rooms(
    ["server", "rest", "openapi", "chat", "embedded"],
    "Capabilities do not know the doors, and nobody knows chat.",
  ),
];
const infrastructureRules = [
  upstairs,
  rooms(
    ["server", ...doors, ...capabilities],
    "Infrastructure knows neither capabilities nor doors.",
  ),
];

export default defineConfig({
  plugins: ["typescript", "unicorn", "import", "promise", "vitest"],
  categories: { correctness: "error", suspicious: "error" },
  ignorePatterns: ["gen/**", "**/node_modules/**", ".tribe/**"],
  rules: {
    "import/no-cycle": "error",
    "typescript/no-explicit-any": "error",
    "typescript/consistent-type-imports": "error",
    "no-await-in-loop": "off",
    "no-shadow": "off",
    "no-underscore-dangle": "off",
    "import/no-unassigned-import": "off",
    // `fc.array` is how fast-check is written everywhere.
    "import/no-named-as-default-member": "off",
    "unicorn/no-array-sort": "off",
    "unicorn/no-array-reverse": "off",
    "unicorn/consistent-function-scoping": "off",
    "vitest/no-focused-tests": "error",
    "vitest/no-disabled-tests": "error",
    "vitest/require-mock-type-parameters": "off",
  },
  overrides: [
    { files: ["src/**"], rules: { "no-console": "error" } },
    forbid(["src/*.ts"], allPackages),
    forbid(
      ["src/errors.ts", "src/config.ts"],
      [
        ...allPackages,
        { regex: "^\\./([a-z]+/|app|main|entities)", message: "The ground floor imports nobody." },
      ],
    ),
    forbid(
      doors.map((room) => `src/${room}/**`),
      [
        ...allPackagesBut("http"),
        upstairs,
        { regex: "^(\\.\\./)+config\\.ts$", message: "A door could be published alone." },
        rooms(["server", ...capabilities, ...infrastructure], "A door could be published alone."),
        {
          regex: "^\\.\\./rpc/([^i]|i[^n])",
          message: "Of rpc, the other doors use invoke.ts only.",
        },
      ],
    ),
    forbid(
      capabilities.map((room) => `src/${room}/**`),
      [...allPackages, ...capabilityRules],
    ),
    forbid(
      capabilities.flatMap((room) => [`src/${room}/*.repository.ts`, `src/${room}/*.entity.ts`]),
      [...allPackagesBut("database"), ...capabilityRules],
    ),
    forbid(
      capabilities.map((room) => `src/${room}/*.store.ts`),
      [...allPackagesBut("redis"), ...capabilityRules],
    ),
    forbid(
      infrastructure.map((room) => `src/${room}/**`),
      [...allPackages, ...infrastructureRules],
    ),
    forbid(["src/providers/openai/**"], [...allPackagesBut("openai"), ...infrastructureRules]),
    forbid(
      ["src/providers/anthropic/**"],
      [...allPackagesBut("anthropic"), ...infrastructureRules],
    ),
    forbid(["src/postgres/**"], [...allPackagesBut("database"), ...infrastructureRules]),
    forbid(
      ["src/redis/**", "src/limits/*.store.ts", "src/embedded/**"],
      [...allPackagesBut("redis", "database"), ...infrastructureRules],
    ),
    forbid(["src/server/**"], [...allPackagesBut("http"), upstairs]),
    // The command line composes, as app does: over a service, or over the database.
    forbid(["src/cli/**"], allPackages),
    forbid(["src/cli/service.ts"], allPackagesBut("http")),
  ],
});
