import type { Reply, ReplyUsage } from "./reply.ts";

/** A reply to one request. */
export interface Answer {
  reply: Reply;
  model: string;
  /** The request's body. */
  body: Readonly<Record<string, unknown>>;
}

/** A text as the pieces in which it is streamed. */
export function pieces(text: string | readonly string[] | undefined): readonly string[] {
  if (text === undefined) return [];
  return typeof text === "string" ? (text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) : text;
}

/** The reply's usage, or a plain count of what was received and sent. */
export function tokensOf({ reply, body }: Answer): ReplyUsage {
  if (reply.usage) return reply.usage;
  const sent = [
    ...pieces(reply.text),
    ...pieces(reply.reasoning),
    ...(reply.toolCalls ?? []).flatMap((call) => pieces(call.arguments)),
  ];
  const received = JSON.stringify(body["messages"] ?? "").length;
  return { freshInputTokens: Math.ceil(received / 4), outputTokens: sent.length };
}
