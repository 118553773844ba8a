/**
 * Holds requests against the rules in their .proto files (buf.validate) before a
 * handler sees them.
 */
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { DomainError, type FieldViolation } from "../../errors.ts";
import { jsonPath } from "./path.ts";
import { surelyValid } from "./surely-valid.ts";
import { textCheck } from "./text.ts";

/**
 * Rejects what breaks a rule with INVALID_ARGUMENT, naming every wrong field in JSON names.
 * @param messages request types whose rules are compiled now rather than with the first call,
 *   which would wait for it a tenth of a second.
 */
export function createValidationInterceptor(messages: readonly DescMessage[] = []): Interceptor {
  const validator = createValidator();
  for (const message of messages) validator.validate(message, create(message));

  function validate(schema: DescMessage, message: Message): void {
    if (surelyValid(schema)(message)) return;
    const badText = textCheck(schema)?.(message);
    if (badText) throw invalidFields([badText]);
    const result = validator.validate(schema, message);
    if (result.kind === "invalid") throw invalidFields(result.violations.map(describe));
    // A rule that cannot be evaluated is a fault of ours, not of the caller.
    if (result.kind === "error") throw result.error;
  }

  return (next) => (request) => {
    const schema = request.method.input;
    if (!request.stream) {
      try {
        validate(schema, request.message);
      } catch (error) {
        return Promise.reject(error as Error);
      }
      return next(request);
    }
    return next({ ...request, message: validated(request.message, schema, validate) });
  };
}

async function* validated(
  messages: AsyncIterable<Message>,
  schema: DescMessage,
  validate: (schema: DescMessage, message: Message) => void,
): AsyncIterable<Message> {
  for await (const message of messages) {
    validate(schema, message);
    yield message;
  }
}

/** The message of the error names the first wrong field; the details name all. */
function invalidFields(fields: FieldViolation[]): DomainError {
  const [first] = fields;
  const others = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
  const name = first?.field ? `${first.field}: ` : "";
  const text = `${name}${first?.description ?? "invalid request"}${others}`;
  return new DomainError("INVALID_ARGUMENT", "INVALID_FIELD", text, { fields });
}

function describe(violation: Violation): FieldViolation {
  const field = jsonPath(violation.field);
  const last = violation.field.at(-1);
  if (last?.kind === "oneof") {
    const choices = last.fields.map((choice) => choice.jsonName).join(", ");
    return { field, description: `set exactly one of ${choices}` };
  }
  return { field, description: violation.message };
}
