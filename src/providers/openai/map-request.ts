import { hash } from "node:crypto";
import type { ChatCompletionCreateParamsStreaming } from "openai/resources/chat/completions";
import type { ModelRequest, ModelResponseFormat, ModelTool, ModelToolChoice } from "../provider.ts";
import { mapMessages } from "./map-messages.ts";
import type { ServerRules } from "./server-rules.ts";

/** A request as the body of a streaming Chat Completions call. */
export function mapRequest(
  request: ModelRequest,
  rules: ServerRules,
): ChatCompletionCreateParamsStreaming {
  const model = rules.model(request.model);
  const body: ChatCompletionCreateParamsStreaming = {
    model: request.model,
    messages: mapMessages(request.system, request.messages, model.systemRole),
    stream: true,
    // Without it there is no usage, and so no price.
    stream_options: { include_usage: true },
  };
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.maxOutputTokens !== undefined) {
    body[rules.maxTokensField] = request.maxOutputTokens;
  }
  if (request.stop !== undefined && request.stop.length > 0) body.stop = [...request.stop];
  const tools = request.tools ?? [];
  if (tools.length > 0) {
    body.tools = tools.map(mapTool);
    if (request.toolChoice !== undefined) body.tool_choice = mapToolChoice(request.toolChoice);
  }
  if (request.responseFormat !== undefined) {
    body.response_format = mapResponseFormat(request.responseFormat);
  }
  const effort =
    request.reasoningEffort ??
    // These models think by default, and take tools only when they do not.
    (tools.length > 0 && model.toolsNeedNoReasoning ? "none" : undefined);
  if (effort !== undefined) body.reasoning_effort = effort;
  if (rules.promptCacheKey && request.threadId !== undefined) {
    // Our ids are nobody else's business.
    body.prompt_cache_key = hash("sha256", request.threadId, "base64url");
  }
  return body;
}

function mapTool(tool: ModelTool) {
  return {
    type: "function" as const,
    function: {
      name: tool.name,
      ...(tool.description && { description: tool.description }),
      ...(tool.parameters && { parameters: tool.parameters }),
      ...(tool.strict && { strict: true }),
    },
  };
}

function mapToolChoice(choice: ModelToolChoice) {
  return "mode" in choice
    ? choice.mode
    : { type: "function" as const, function: { name: choice.toolName } };
}

function mapResponseFormat(format: ModelResponseFormat) {
  if (format.type === "json_object") return { type: "json_object" as const };
  const { name, schema, strict } = format;
  return {
    type: "json_schema" as const,
    json_schema: { name: name || "answer", schema, ...(strict && { strict }) },
  };
}
