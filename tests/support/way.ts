import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A way to a server, through which it can be made to seem frozen or gone. */
export interface Way {
  /** The server's URL, through here. */
  readonly url: string;
  /** Packets get lost from now on, in both directions, and connections stay open: the server seems frozen. */
  silence(): void;
  /** Connections are cut, and new ones refused: the server seems gone. */
  cut(): void;
  /** As in the beginning; what was lost stays lost. */
  open(): void;
  close(): Promise<void>;
}

/** Makes a way to the server of a URL, on the loopback. */
export async function createWay(serverUrl: string): Promise<Way> {
  const { hostname, port } = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let state: "open" | "silent" | "cut" = "open";
  const proxy = createServer((socket) => {
    if (state === "cut") {
      socket.destroy();
      return;
    }
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => state === "silent" || to.write(chunk));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const destroyAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: serverUrl.replace(port, String((proxy.address() as AddressInfo).port)),
    silence() {
      state = "silent";
    },
    cut() {
      state = "cut";
      destroyAll();
    },
    open() {
      state = "open";
    },
    async close() {
      proxy.close();
      destroyAll();
      if (proxy.listening) await once(proxy, "close");
    },
  };
}
