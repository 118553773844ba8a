/** Where a call comes from when proxies stand in front: https://www.rfc-editor.org/rfc/rfc7239#section-8.1. */
import { BlockList, isIP } from "node:net";

/** Gives the caller's IP address, from the peer of the connection and its `x-forwarded-for`. */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | null) => string;

/**
 * Believes `x-forwarded-for` from these proxies only (IP addresses and `address/prefix`), and of
 * it only what they wrote: from the right, the first address that is none of theirs.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  if (trustedProxies.length === 0) return (peer) => plain(peer ?? "");
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = "", prefix] = proxy.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const isTrusted = (address: string) =>
    trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");

  return (peer, forwardedFor) => {
    let address = plain(peer ?? "");
    if (forwardedFor === null || !isTrusted(address)) return address;
    const hops = forwardedFor.split(",");
    for (let index = hops.length - 1; index >= 0; index -= 1) {
      const hop = plain((hops[index] ?? "").trim());
      // Whatever stands to the left of something that is no address was written by nobody we know.
      if (isIP(hop) === 0) break;
      address = hop;
      if (!isTrusted(address)) break;
    }
    return address;
  };
}

/** An IPv4 address as such, also where it arrives on a socket of IPv6. */
function plain(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
