import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTextTemplate } from "../../src/providers/http/text-template.ts";

/** Events as OpenAI sends them; `more` stands after the choices. */
function chunk(content: string, more: object = {}): string {
  return JSON.stringify({
    id: "chatcmpl-1",
    choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
    ...more,
  });
}
function learned(data: string, text: string) {
  const template = createTextTemplate("content");
  template.learn(data, text);
  return template;
}
const anyText = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
  fc.string({ unit: fc.constantFrom('"', "\\", "}", ",", ":", "]", "n", "u", "{", "x") }),
);

describe("the text template", () => {
  test("knows nothing before it has learned", () => {
    expect(createTextTemplate("content").match(chunk("Hello"))).toBeUndefined();
  });

  test("reads any text of an event that is like the learned one", () => {
    fc.assert(
      fc.property(anyText, anyText, (first, next) => {
        expect(learned(chunk(first), first).match(chunk(next))).toBe(next);
      }),
    );
  });

  test("reads past the padding that hides a text's length", () => {
    const pad = (text: string, obfuscation: string) => chunk(text, { usage: null, obfuscation });
    const template = learned(pad("Hello", "aB3"), "Hello");
    expect(template.match(pad(" Ada", "x"))).toBe(" Ada");
    expect(template.match(pad('"},"obfuscation":"', ""))).toBe('"},"obfuscation":"');
    expect(template.match(pad("", "longer than before"))).toBe("");
    expect(template.match(pad("x", 'a"b'))).toBeUndefined();
  });

  test("leaves whatever says more than a text", () => {
    const template = learned(chunk("Hello"), "Hello");
    const finished = chunk("x").replace('"finish_reason":null', '"finish_reason":"stop"');
    expect(template.match(finished)).toBeUndefined();
    expect(template.match(chunk("x", { usage: { prompt_tokens: 1 } }))).toBeUndefined();
    expect(template.match(chunk("x").replace('"index":0', '"index":1'))).toBeUndefined();
    expect(template.match(chunk("x").replace('{"content":"x"}', "{}"))).toBeUndefined();
    const two = chunk("x").replace('"content":"x"', '"content":"x","reasoning":"y"');
    expect(template.match(two)).toBeUndefined();
    for (const short of ["", "{}", "[DONE]", chunk("x").slice(0, -20)]) {
      expect(template.match(short)).toBeUndefined();
    }
  });

  test("never reads anything but what parsing would have read", () => {
    const json = fc.json();
    const event = fc.oneof(
      fc.tuple(anyText, json).map(([text, more]) => `${chunk(text).slice(0, -1)},"more":${more}}`),
      fc.tuple(anyText, anyText).map(([a, b]) => chunk(a).replace("null", JSON.stringify(b))),
      fc.tuple(anyText, anyText).map(([a, b]) => chunk(a, { obfuscation: b })),
    );
    const contentOf = (data: string) =>
      (JSON.parse(data) as { choices: [{ delta: { content: string } }] }).choices[0].delta.content;
    fc.assert(
      fc.property(event, event, (first, next) => {
        const text = learned(first, contentOf(first)).match(next);
        expect([undefined, contentOf(next)]).toContain(text);
      }),
    );
  });

  test("learns nothing where the text could be in two places", () => {
    const twice = '{"delta":{"content":"a"},"other":{"content":"a"}}';
    expect(learned(twice, "a").match(twice)).toBeUndefined();
  });

  test("gives up on servers that change every event", () => {
    const template = createTextTemplate("content");
    for (let time = 0; time < 10; time += 1) {
      const data = chunk("x", { time });
      expect(template.match(data)).toBeUndefined();
      template.learn(data, "x");
    }
    expect(template.match(chunk("y", { time: 9 }))).toBeUndefined();
    expect(template.match(chunk("y", { time: 3 }))).toBe("y");
  });
});
