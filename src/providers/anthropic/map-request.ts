import type {
  MessageCreateParamsStreaming,
  OutputConfig,
  Tool,
  ToolChoice,
} from "@anthropic-ai/sdk/resources/messages";
import type { ModelRequest, ModelTool, ModelToolChoice } from "../provider.ts";
import { mapMessages } from "./map-messages.ts";
import { mapThinking } from "./map-thinking.ts";
import { modelRules } from "./model-rules.ts";

/** The SDK no longer names `temperature`, because the newest models refuse it; older ones take it. */
type Body = MessageCreateParamsStreaming & { temperature?: number };

/** A call to the Messages API. */
export interface MappedRequest {
  body: Body;
  headers: Record<string, string> | undefined;
}

const CACHE_CONTROL = { type: "ephemeral" as const };
/**
 * Newer models refuse thoughts when the conversation before them has changed,
 * and ours changes whenever its oldest messages no longer fit: let them drop
 * such thoughts instead.
 * https://platform.claude.com/docs/en/build-with-claude/preserved-thinking
 */
const DROP_CHANGED = { block_binding: { prefix_mismatch_behavior: "drop_block" } };
const DROP_CHANGED_HEADERS = { "anthropic-beta": "thinking-binding-controls-2026-08-01" };

/** A request as a streaming call. */
export function mapRequest(request: ModelRequest): MappedRequest {
  const rules = modelRules(request.model);
  const maxTokens = request.maxOutputTokens ?? rules.maxOutputTokens;
  const thinking = mapThinking(request, rules, maxTokens);
  // While it does not think, a model that binds its thoughts would refuse them.
  const keepThoughts = rules.style !== "none" && (thinking.active || !rules.bindsThoughts);
  const body: Body = {
    model: request.model,
    max_tokens: maxTokens,
    messages: mapMessages(request.messages, keepThoughts),
    stream: true,
  };
  let headers: MappedRequest["headers"];
  if (thinking.config !== undefined) {
    body.thinking = thinking.config;
    if (thinking.active && rules.bindsThoughts && hasThoughts(request)) {
      body.thinking = { ...thinking.config, ...DROP_CHANGED };
      headers = DROP_CHANGED_HEADERS;
    }
  }
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.stop !== undefined && request.stop.length > 0) {
    body.stop_sequences = [...request.stop];
  }
  mapPrefix(request, body);
  const format = request.responseFormat;
  if (thinking.effort !== undefined || format?.type === "json_schema") {
    const outputConfig: OutputConfig = {};
    if (thinking.effort !== undefined) outputConfig.effort = thinking.effort;
    if (format?.type === "json_schema") {
      outputConfig.format = { type: "json_schema", schema: format.schema };
    }
    body.output_config = outputConfig;
  }
  return { body, headers };
}

/** Tools and system prompt, in this order the start of what can be cached: its end is marked. */
function mapPrefix(request: ModelRequest, body: Body): void {
  const tools = request.tools ?? [];
  if (tools.length > 0) {
    const mapped = tools.map(mapTool);
    const last = mapped.at(-1);
    if (last !== undefined && !request.system) last.cache_control = CACHE_CONTROL;
    body.tools = mapped;
    if (request.toolChoice !== undefined) body.tool_choice = mapToolChoice(request.toolChoice);
  }
  if (request.system) {
    body.system = [{ type: "text", text: request.system, cache_control: CACHE_CONTROL }];
  }
}

function hasThoughts({ messages }: ModelRequest): boolean {
  return messages.some(({ role, content }) => {
    return role === "assistant" && content.some((part) => part.type === "reasoning");
  });
}

function mapTool(tool: ModelTool): Tool {
  return {
    name: tool.name,
    ...(tool.description && { description: tool.description }),
    input_schema: { properties: {}, ...tool.parameters, type: "object" },
    ...(tool.strict && { strict: true }),
  };
}

function mapToolChoice(choice: ModelToolChoice): ToolChoice {
  if (!("mode" in choice)) return { type: "tool", name: choice.toolName };
  return { type: choice.mode === "required" ? "any" : choice.mode };
}
