import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a run with one line that programs can read, `12 passed, 0 failed`; tests that
 * a filter leaves out count as neither.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]) {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state !== "skipped") failed += 1; // Also one that a lost worker left pending.
      }
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  }
}
