import {
  anthropicError,
  anthropicErrorEvent,
  anthropicEvents,
  anthropicUnary,
} from "./anthropic-wire.ts";
import { openaiError, openaiErrorEvent, openaiEvents, openaiUnary } from "./openai-wire.ts";

/** The two wire formats. */
export const WIRES = {
  openai: {
    events: openaiEvents,
    unary: openaiUnary,
    error: openaiError,
    errorEvent: openaiErrorEvent,
  },
  anthropic: {
    events: anthropicEvents,
    unary: anthropicUnary,
    error: anthropicError,
    errorEvent: anthropicErrorEvent,
  },
};
