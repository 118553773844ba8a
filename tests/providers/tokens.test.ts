import { describe, expect, test } from "vitest";
import { estimateContentTokens, estimateTokens } from "../../src/providers/tokens.ts";

/** Texts with their true number of o200k_base tokens. */
const KNOWN: [string, string, number][] = [
  [
    "English",
    "Hello! Could you help me plan a weekend trip to Lisbon? I'd like to see the old town, eat well, and not spend more than 400 euros. What would you suggest, and how should I get around? ",
    46,
  ],
  [
    "German",
    "Die Bundesregierung hat am Donnerstag einen Gesetzentwurf vorgelegt, der die Wettbewerbsfähigkeit der Unternehmen stärken und die Bürokratie abbauen soll. Kritiker bemängeln, dass die Maßnahmen nicht weit genug gehen. ",
    45,
  ],
  [
    "French",
    "Le gouvernement a présenté jeudi un projet de loi visant à renforcer la compétitivité des entreprises et à réduire la bureaucratie. Les critiques estiment que les mesures ne vont pas assez loin. ",
    39,
  ],
  [
    "Chinese",
    "政府于星期四提出了一项法案，旨在加强企业的竞争力并减少官僚主义。批评者认为这些措施还远远不够。",
    36,
  ],
  ["numbers", "3.14159265358979 1234567 2024-11-23 ", 19],
  ["ids", "0198b2f4-5c3a-7e21-9f0a-8d3c2b1a0e9f ", 34],
];

describe("the estimate of tokens", () => {
  test.each(KNOWN)("of %s is near the truth, rather above it than below", (_, text, truth) => {
    const estimate = estimateTokens(text.repeat(5)) / (truth * 5);
    expect(estimate).toBeGreaterThan(0.9);
    expect(estimate).toBeLessThan(1.35);
  });

  test("grows with the text and is nothing for nothing", () => {
    expect(estimateTokens("")).toBe(0);
    expect(estimateTokens("a")).toBe(1);
    expect(estimateTokens("a b")).toBe(2);
    expect(estimateTokens("👋🏽")).toBeGreaterThan(1);
    expect(estimateTokens("\ud800")).toBeGreaterThan(0);
  });

  test("of a megabyte takes no more passes than one", () => {
    const kilobyte = estimateTokens(`${"word ".repeat(200)}\n`);
    const megabyte = estimateTokens(`${"word ".repeat(200)}\n`.repeat(1000));
    expect(megabyte).toBeGreaterThan(kilobyte * 990);
    expect(megabyte).toBeLessThanOrEqual(kilobyte * 1000);
  });

  test("counts every kind of content and a frame around it", () => {
    const frame = estimateContentTokens([]);
    expect(frame).toBeGreaterThan(0);
    const tokens = (...parts: Parameters<typeof estimateContentTokens>[0]) =>
      estimateContentTokens(parts) - frame;
    expect(tokens({ type: "text", text: "one two" })).toBe(2);
    expect(tokens({ type: "image", url: "https://example.com/a.png" })).toBe(1600);
    expect(
      tokens({ type: "tool_call", toolCallId: "x", name: "f", arguments: '{"a":1}' }),
    ).toBeGreaterThan(estimateTokens('{"a":1}'));
    expect(tokens({ type: "tool_result", toolCallId: "x", content: "one two" })).toBeGreaterThan(2);
    expect(tokens({ type: "reasoning", text: "one two", redacted: "abcdefgh" })).toBe(4);
  });
});
