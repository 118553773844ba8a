import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    globalSetup: ["tests/support/postgres.setup.ts"],
    reporters: ["default", "./tests/support/count.reporter.ts"],
    // A loaded CI machine delays a process for seconds now and then; a failure must show itself twice there.
    retry: process.env["CI"] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
