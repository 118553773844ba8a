import { describe, expect, test } from "vitest";
import { createClientAddress } from "../../src/rpc/client-address.ts";

describe("without trusted proxies", () => {
  const address = createClientAddress([]);

  test("the peer is the caller, whatever it says", () => {
    expect(address("192.0.2.7", "203.0.113.9")).toBe("192.0.2.7");
    expect(address(undefined, "203.0.113.9")).toBe("");
  });

  test("an IPv4 address on a socket of IPv6 is told as such", () => {
    expect(address("::ffff:192.0.2.7", null)).toBe("192.0.2.7");
    expect(address("2001:db8::7", null)).toBe("2001:db8::7");
  });
});

describe("with trusted proxies", () => {
  const address = createClientAddress(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

  test.each([
    ["one hop", "10.1.2.3", "203.0.113.9", "203.0.113.9"],
    ["a peer on a socket of IPv6", "::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9"],
    ["IPv6", "fd00::1", "2001:db8::9", "2001:db8::9"],
    ["two proxies", "127.0.0.1", "203.0.113.9, 10.0.0.5", "203.0.113.9"],
    ["what the caller made up", "127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"],
    ["a caller of the own network", "127.0.0.1", "10.0.0.9", "10.0.0.9"],
    ["nothing", "127.0.0.1", null, "127.0.0.1"],
    ["no address", "127.0.0.1", "unknown", "127.0.0.1"],
    ["no address before a proxy", "127.0.0.1", "x, 10.0.0.5", "10.0.0.5"],
    ["an empty header", "127.0.0.1", "", "127.0.0.1"],
    ["a stranger's header", "192.0.2.7", "203.0.113.9", "192.0.2.7"],
  ])("%s", (_, peer, forwardedFor, expected) => {
    expect(address(peer, forwardedFor)).toBe(expected);
  });
});
