import { readdirSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

interface Step {
  uses?: string;
  run?: string;
}
interface Workflow {
  permissions: unknown;
  jobs: Record<string, { permissions?: Record<string, string>; steps: Step[] }>;
}

// The parser imports JSON as only bundlers let it.
const hooks = registerHooks({
  load: (url, context, next) =>
    next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context),
});
const { NoOperationTraceWriter, parseWorkflow } = await import("@actions/workflow-parser");
hooks.deregister();

const folder = join(import.meta.dirname, "../../.github/workflows");

describe.each(readdirSync(folder))("%s", (name) => {
  const content = readFileSync(join(folder, name), "utf8");
  const workflow = parse(content) as Workflow;
  const jobs = Object.entries(workflow.jobs);

  test("is valid by GitHub's own schema", () => {
    const faultsOf = (text: string) => {
      const { context } = parseWorkflow({ name, content: text }, new NoOperationTraceWriter());
      return context.errors.getErrors().map(({ message }) => message);
    };
    expect(faultsOf(content)).toEqual([]);
    expect(faultsOf(content.replace("runs-on:", "run-on:"))).not.toEqual([]);
  });

  test("pins every action by its commit", () => {
    const uses = jobs.flatMap(([, { steps }]) => steps.flatMap((step) => step.uses ?? []));
    expect(uses.length).toBeGreaterThan(5);
    for (const action of uses) expect(action).toMatch(/^[\w.-]+\/[\w.-]+@[0-9a-f]{40}$/);
  });

  test("gives no job more rights than it needs", () => {
    expect(workflow.permissions).toEqual({});
    const writing = jobs.flatMap(([job, { permissions = {} }]) =>
      Object.entries(permissions).flatMap(([right, level]) =>
        level === "write" ? `${job}: ${right}` : [],
      ),
    );
    expect(writing).toEqual(["publish: packages"]);
  });

  test("lets nobody's text into a script", () => {
    for (const [, { steps }] of jobs)
      for (const { run = "" } of steps) expect(run).not.toMatch(/\$\{\{/);
  });
});
