import { byId, type Check } from "../facts.ts";
import type { SeenStream } from "../observations.ts";

/** Streams have no gap and nothing twice, and resumed to their end they are the stored answer. */
export const checkStreams: Check = ({ observations, retellings, stored, plan }) => {
  const violations: string[] = [];
  const messages = new Map(stored.messages.map((message) => [message.runId, message]));
  const runs = byId(stored.runs);
  // Pieces of a dead process that had not reached Redis, or that Redis lost, nobody has.
  const mayLosePieces = plan.faults.some(({ kind }) => /kill|redis/.test(kind));

  for (const { operation, streams, runIds } of observations) {
    for (const { afterSequence, sequences } of streams) {
      const expected = sequences.map((_, index) => afterSequence + index + 1);
      if (String(sequences) !== String(expected))
        violations.push(
          `operation ${operation.id}: sequences ${sequences.join(" ")} after ${afterSequence}`,
        );
    }
    const [runId = ""] = runIds;
    if (operation.retried !== undefined || streams.length === 0) continue;
    const text = textOf(streams);
    const answer = messages.get(runId)?.text ?? "";
    const isWhole = runs.get(runId)?.state === "completed";
    // Of a broken run what was seen last may not have been logged.
    const fits = isWhole
      ? mayLosePieces
        ? answer.startsWith(text)
        : answer === text
      : answer.startsWith(text) || text.startsWith(answer);
    if (!fits)
      violations.push(
        `operation ${operation.id}: its stream said ${JSON.stringify(text)}, stored is ${JSON.stringify(answer)}`,
      );
  }
  for (const { runId, stream, answer } of retellings) {
    const row = messages.get(runId);
    if (answer === undefined) violations.push(`run ${runId} could not be told to its end`);
    else if (answer !== row?.text)
      violations.push(`run ${runId} is told again as ${JSON.stringify(answer)}, not as stored`);
    const told = textOf([stream]);
    if (told !== "" && told !== row?.text && !(mayLosePieces && row?.text.startsWith(told)))
      violations.push(`run ${runId} is told again in pieces as ${JSON.stringify(told)}`);
  }
  return violations;
};

function textOf(streams: readonly SeenStream[]): string {
  return streams.flatMap(({ pieces }) => pieces.map(({ text }) => text)).join("");
}
