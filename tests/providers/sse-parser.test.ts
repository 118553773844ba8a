import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSseParser } from "../../src/providers/http/sse-parser.ts";

type Event = { data: string; event: string };

function parse(pieces: readonly (string | Uint8Array)[], maxEventBytes?: number): Event[] {
  const events: Event[] = [];
  const parser = createSseParser(
    (data, event) => void events.push({ data, event }),
    maxEventBytes === undefined ? {} : { maxEventBytes },
  );
  for (const piece of pieces) parser.push(Buffer.from(piece));
  parser.end();
  return events;
}
const dataOf = (pieces: readonly (string | Uint8Array)[]) =>
  parse(pieces).map((event) => event.data);

describe("the server-sent events parser", () => {
  test.each<[string, string, string[]]>([
    ["one event", "data: a\n\n", ["a"]],
    ["several events", "data: a\n\ndata: b\n\n", ["a", "b"]],
    ["no space after the colon", "data:a\n\n", ["a"]],
    ["only one space is taken away", "data:  a\n\n", [" a"]],
    ["several data lines", "data: a\ndata: b\ndata\ndata: c\n\n", ["a\nb\n\nc"]],
    ["empty data", "data:\n\ndata: \n\ndata\n\n", ["", "", ""]],
    ["comments", ": hello\n\n:\n\ndata: a\n: in between\n\n", ["a"]],
    ["fields that are not read", "id: 7\nretry: 10\ndata: a\nfoo: b\ndatabase: c\n\n", ["a"]],
    ["events without data", "event: ping\n\ndata: a\n\n", ["a"]],
    ["CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", ["a\nb", "c"]],
    ["CR", "data: a\rdata: b\r\rdata: c\r\r", ["a\nb", "c"]],
    ["a byte order mark", "\uFEFFdata: a\n\n", ["a"]],
    ["a last event without its empty line", "data: a\n\ndata: b\n", ["a", "b"]],
    ["a last line without its end", "data: a\n\ndata: [DONE]", ["a", "[DONE]"]],
    ["empty lines between events", "\n\n\ndata: a\n\n\n\ndata: b\n\n", ["a", "b"]],
  ])("reads %s", (_, text, expected) => {
    expect(dataOf([text])).toEqual(expected);
    // The same when every byte comes alone.
    expect(dataOf(Array.from(Buffer.from(text), (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  test("gives the name of an event to that event only", () => {
    expect(parse(["event: a\ndata: 1\n\ndata: 2\n\ndata: 3\nevent: b\n\n"])).toEqual([
      { data: "1", event: "a" },
      { data: "2", event: "" },
      { data: "3", event: "b" },
    ]);
  });

  test("gives the same events wherever the bytes are cut", () => {
    const text =
      ': keep-alive\r\n\r\nevent: e\ndata: {"text":"Grüße, 世界 👋🏽"}\n\ndata: a\r\ndata: b\r\n\r\n' +
      "data: é\n\n";
    const bytes = Buffer.from(text);
    const whole = parse([bytes]);
    expect(whole).toHaveLength(3);
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 7) {
        const pieces = [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ];
        expect(parse(pieces)).toEqual(whole);
      }
    }
  });

  test("gives back any texts in any pieces", () => {
    const texts = fc.array(
      fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, " ")),
      { maxLength: 8 },
    );
    const cuts = fc.array(fc.nat(300), { maxLength: 8 });
    fc.assert(
      fc.property(texts, cuts, (expected, offsets) => {
        const bytes = Buffer.from(expected.map((text) => `data: ${text}\n\n`).join(""));
        const at = offsets.map((offset) => Math.min(offset, bytes.length)).sort((a, b) => a - b);
        const pieces = [0, ...at].map((start, index) => bytes.subarray(start, at[index]));
        expect(dataOf(pieces)).toEqual(expected);
      }),
    );
  });

  test("reads an event of many pieces", () => {
    const text = "x".repeat(1000);
    const pieces = ["data: ", ...Array.from({ length: 500 }, () => text), "\n\n"];
    expect(dataOf(pieces)).toEqual([text.repeat(500)]);
  });

  test("refuses an event that is too large, in one line or in many", () => {
    expect(() => parse(["data: ", "x".repeat(60), "x".repeat(60)], 100)).toThrow(RangeError);
    expect(() => parse(Array(20).fill("data: xxxxxxxx\n") as string[], 100)).toThrow(/100 bytes/);
    expect(parse(["data: ", "x".repeat(80), "\n\n"], 100)).toHaveLength(1);
  });

  test("says that an event was cut by the end of the stream", () => {
    const cuts: boolean[] = [];
    const parser = createSseParser((_data, _event, cut) => void cuts.push(cut));
    parser.push(Buffer.from("data: a\n\ndata: b"));
    parser.end();
    expect(cuts).toEqual([false, true]);
  });
});
