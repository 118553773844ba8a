/**
 * The network that an IP address is counted as. One IPv6 subscriber has at least a whole /64 and
 * may use any address of it, so only that much of the address says who it is; an IPv4 address is
 * counted as it is, also when a socket writes it as IPv6.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = "", tail] = address.toLowerCase().replace(/%.*$/, "").split("::");
  const groups = head === "" ? [] : head.split(":");
  // What `::` stands for is zeros; only the first four of eight groups count.
  const rest = tail === undefined || tail === "" ? 0 : tail.split(":").length;
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest);
  const all = [...groups, ...Array<string>(zeros).fill("0"), ...(tail?.split(":") ?? [])];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
