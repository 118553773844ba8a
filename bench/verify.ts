/** Before anything is measured: everyone asks the same and answers the same. */
import { answerText } from "./answer.ts";
import { ask } from "./processes.ts";
import type { ScenarioPlan } from "./scenarios.ts";
import type { Bench } from "./measure.ts";
import { askOnce, type Subject } from "./subject.ts";

/**
 * Asks once over HTTP. Throws unless the provider got the whole history and the caller the
 * whole answer. gRPC answers are only checked by their status and size, under load.
 */
export async function verify(
  bench: Bench,
  providerOrigin: string,
  subject: Subject,
  plan: ScenarioPlan,
  historyMessages: number,
): Promise<void> {
  const target = subject.target(plan.scenario);
  if (target?.transport !== "http") return;
  await ask(bench.provider, plan.provider);
  const body = await askOnce(target);
  const texts = Array.from(body.matchAll(/"(?:content|text)":\s*"([^"]*)"/g), ([, text]) => text);
  if (!texts.join("").includes(answerText(plan.provider.pieces))) {
    throw new Error(`${subject.name}, ${plan.scenario}: not the provider's answer: ${body}`);
  }
  const asked = (await (await fetch(providerOrigin)).json()) as { messages: unknown[] };
  if (asked.messages.length !== historyMessages + 1) {
    const { length } = asked.messages;
    throw new Error(
      `${subject.name}, ${plan.scenario}: ${length} messages instead of ${historyMessages + 1}`,
    );
  }
}
