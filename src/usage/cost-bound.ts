/**
 * What a call may cost at most, before it is made. It rests on two facts. A token of the
 * byte-level vocabularies of today's models stands for at least one byte of the text. And no
 * provider writes more output than the `max_output_tokens` that it was sent, thoughts included.
 */
import type { Price } from "../providers/catalog.ts";
import type { ContentPart } from "../providers/content.ts";
import type { ModelRequest } from "../providers/provider.ts";

/** What a provider may add to a message or a part of one: role, separators, ids. */
const frameTokens = 16;
/** What it may add to a request. */
const requestTokens = 64;
/** What it may say to a model of the tools, or of the form that it has to keep to. */
const instructionTokens = 1024;
/** The largest picture that providers document. https://platform.claude.com/docs/en/build-with-claude/vision */
const imageTokens = 5_000;
/** gpt-4o-mini counts thirty-three times what others do. https://developers.openai.com/api/docs/guides/images-vision */
const imageTokensByModel: Readonly<Record<string, number>> = { "gpt-4o-mini": 50_000 };

/** The most input tokens that a provider can count for the request. */
export function mostInputTokens(request: ModelRequest): number {
  const { system, tools, responseFormat } = request;
  let tokens = requestTokens;
  if (system !== undefined) tokens += frameTokens + Buffer.byteLength(system);
  if (tools?.length) tokens += instructionTokens + Buffer.byteLength(JSON.stringify(tools));
  if (responseFormat !== undefined) {
    tokens += instructionTokens + Buffer.byteLength(JSON.stringify(responseFormat));
  }
  const image = imageTokensByModel[request.model] ?? imageTokens;
  for (const { content } of request.messages) {
    tokens += frameTokens;
    for (const part of content) tokens += frameTokens + mostPartTokens(part, image);
  }
  return tokens;
}

function mostPartTokens(part: ContentPart, image: number): number {
  switch (part.type) {
    case "text":
      return Buffer.byteLength(part.text);
    case "image":
      return image;
    case "tool_call":
      return Buffer.byteLength(part.name) + Buffer.byteLength(part.arguments);
    case "tool_result":
      return Buffer.byteLength(part.content);
    case "reasoning":
      return Buffer.byteLength(part.text) + Buffer.byteLength(part.redacted ?? "");
  }
}

/** What one token costs at most, in millionths of a micro: a Price's own numbers. */
export interface TokenPrices {
  readonly input: bigint;
  readonly output: bigint;
}

/** The highest prices that a request with at most so many input tokens can be billed by. */
export function highestPrices(price: Price, inputTokens: number): TokenPrices {
  const { longInput } = price;
  const rates =
    longInput !== undefined && inputTokens > longInput.aboveInputTokens
      ? [price, longInput]
      : [price];
  const inputs = rates.flatMap((rate) => [
    rate.inputMicros,
    rate.cachedInputMicros,
    rate.cacheWriteMicros,
  ]);
  return { input: largest(inputs), output: largest(rates.map((rate) => rate.outputMicros)) };
}

function largest(values: readonly bigint[]): bigint {
  return values.reduce((most, value) => (value > most ? value : most), 0n);
}
