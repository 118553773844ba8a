import { expect, it, vi } from "vitest";
import { createReplays } from "../../src/chat/replay.ts";
import type { RunRepository, StoredRun } from "../../src/chat/run.repository.ts";

it("asks for a run of another process no longer than its follower listens", async () => {
  const looks = { gone: 0, there: 0 };
  const repository = {
    async find(runId: keyof typeof looks) {
      looks[runId] += 1;
      return { runId, state: "running" };
    },
  } as unknown as RunRepository;
  const replays = createReplays(repository, undefined);
  const [leaving, staying] = [new AbortController(), new AbortController()];
  const stored = (runId: string) => ({ runId, state: "running" }) as StoredRun;
  replays.watch(stored("gone"), "user", 1, leaving.signal);
  replays.watch(stored("there"), "user", 1, staying.signal);
  await vi.waitUntil(() => looks.gone > 1 && looks.there > 1, { timeout: 10_000 });

  leaving.abort();
  const { gone, there } = looks;
  await vi.waitUntil(() => looks.there > there + 2, { timeout: 10_000 });
  expect(looks.gone).toBe(gone);
  staying.abort();
});
