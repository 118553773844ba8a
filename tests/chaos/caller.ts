/** Makes calls and notes what it is told; judges nothing. */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import {
  type ResumeRunResponse,
  RunState,
  type SendMessageResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import type { connectClients } from "../support/clients.ts";
import type { Observation, SeenStream } from "./observations.ts";

export type Clients = ReturnType<typeof connectClients>;
type Event = StreamMessageResponse | ResumeRunResponse;

/** A request, as Connect takes it. */
export type Question = Parameters<Clients["chat"]["sendMessage"]>[0];

/** How a call ended: `answered` also when the answer is that the run failed. */
export type Outcome = "answered" | "lost" | "refused" | "left";

/** Calls that are answered never take this long, milliseconds; one that does was forgotten. */
const forgottenAfterMs = 40_000;

/** Asks and waits. */
export async function ask(
  clients: Clients,
  question: Question,
  seen: Observation,
): Promise<Outcome> {
  return noting(seen, async (signal) => {
    noteAnswer(seen, await clients.chat.sendMessage(question, { signal }));
    return "answered";
  });
}

/** What a stream tells along the way. */
export type OnEvent = (event: Event, count: number) => "go_on" | "leave";

/** Asks and reads the stream; `onEvent` may leave. */
export function askStreaming(
  clients: Clients,
  question: Question,
  seen: Observation,
  onEvent: OnEvent = () => "go_on",
): Promise<Outcome> {
  return read(seen, 0, onEvent, (signal) => clients.chat.streamMessage(question, { signal }));
}

/** Goes on reading a run. */
export function resume(
  clients: Clients,
  runId: string,
  afterSequence: number,
  seen: Observation,
): Promise<Outcome> {
  const request = { runId, afterSequence: BigInt(afterSequence) };
  return read(
    seen,
    afterSequence,
    () => "go_on",
    (signal) => clients.chat.resumeRun(request, { signal }),
  );
}

function read(
  seen: Observation,
  afterSequence: number,
  onEvent: OnEvent,
  open: (signal: AbortSignal) => AsyncIterable<Event>,
): Promise<Outcome> {
  const stream: SeenStream = { afterSequence, sequences: [], pieces: [] };
  return noting(seen, async (signal) => {
    let count = 0;
    for await (const event of open(signal)) {
      if (count === 0) seen.streams.push(stream);
      count += 1;
      noteEvent(seen, stream, event);
      const { case: name } = event.event;
      if (name === "completed" || name === "failed") return "answered";
      if (onEvent(event, count) === "leave") return "left";
    }
    // Every stream ends with one of the two: this one was cut.
    return "lost";
  });
}

async function noting(
  seen: Observation,
  call: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  seen.wasSent = true;
  const begin = performance.now();
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), forgottenAfterMs);
  try {
    return await call(controller.signal);
  } catch (error) {
    const elapsedMs = performance.now() - begin;
    seen.longestErrorMs = Math.max(seen.longestErrorMs, elapsedMs);
    return noteError(seen, ConnectError.from(error));
  } finally {
    clearTimeout(timer);
  }
}

/** `lost`: nobody said what became of it. */
function noteError(seen: Observation, error: ConnectError): Outcome {
  const [info] = error.findDetails(ErrorInfoSchema);
  seen.errors.push(`${Code[error.code]} ${info?.reason ?? `without reason: ${error.rawMessage}`}`);
  const runId = info?.metadata["runId"];
  if (info && runId !== undefined && info.metadata["assistantMessageId"] !== undefined) {
    seen.runIds.add(runId);
    seen.failures.push({ runId, state: undefined, reason: info.reason, message: undefined });
    return "answered";
  }
  return info === undefined ? "lost" : "refused";
}

function noteAnswer(seen: Observation, answer: SendMessageResponse): void {
  seen.runIds.add(answer.runId);
  seen.answers.push(answer);
  if (answer.userMessage) seen.questions.set(answer.userMessage.messageId, answer.userMessage);
}

function noteEvent(seen: Observation, stream: SeenStream, { sequence, event }: Event): void {
  stream.sequences.push(Number(sequence));
  if (event.case === "runStarted") {
    seen.runIds.add(event.value.runId);
    const { userMessage } = event.value;
    if (userMessage) seen.questions.set(userMessage.messageId, userMessage);
  } else if (event.case === "textDelta") {
    stream.pieces.push({ sequence: Number(sequence), text: event.value.text });
  } else if (event.case === "completed" && event.value.response) {
    noteAnswer(seen, event.value.response);
  } else if (event.case === "failed") {
    const [runId = ""] = seen.runIds;
    seen.failures.push({
      runId,
      state: RunState[event.value.state].toLowerCase(),
      reason: event.value.reason,
      message: event.value.assistantMessage,
    });
  }
}
