import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/postgres.setup.ts"],
    reporters: ["default", "./tests/support/count.reporter.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
