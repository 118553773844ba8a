import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Plan } from "./plan.ts";
import type { ProviderCall, ProviderNews, ProviderOrder } from "./provider-journal.ts";

/** The provider of all drills, a process of its own. */
export interface DrillProvider {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** Forgets what was, and answers as this plan says. */
  follow(plan: Plan): void;
  journal(): Promise<ProviderCall[]>;
  stop(): Promise<void>;
}

export async function startProvider(): Promise<DrillProvider> {
  const child = fork(new URL("./provider-process.ts", import.meta.url));
  const listening = await nextNews(child, "listening");
  const order = (message: ProviderOrder) => void child.send(message);
  return {
    url: `http://127.0.0.1:${listening.port}`,
    follow({ operations }) {
      const replies = Object.fromEntries(operations.map(({ id, replies }) => [id, replies]));
      order({ order: "script", replies });
    },
    async journal() {
      order({ order: "journal" });
      return (await nextNews(child, "journal")).calls;
    },
    async stop() {
      const exit = once(child, "exit");
      child.disconnect();
      await exit;
    },
  };
}

async function nextNews<Name extends ProviderNews["news"]>(child: ChildProcess, name: Name) {
  for (;;) {
    const [message] = (await once(child, "message")) as [ProviderNews];
    if (message.news === name) return message as ProviderNews & { news: Name };
  }
}
