import { createClient, createCluster, createSentinel } from "redis";
import type { RedisAddress, RedisCredentials, TlsTrust } from "../config.ts";

/** What the clients of one server, of sentinels and of a cluster have in common. */
export interface RedisConnection {
  /** Rejects when nobody is found; a single server is tried until `destroy`. */
  connect(): Promise<unknown>;
  /** `key` names the node in a cluster; without it, any node. */
  send(key: string | undefined, args: string[]): Promise<unknown>;
  /** Also after each time that the connection was lost. Rejects while there is none. */
  subscribe(channel: string, onMessage: (message: string) => void): Promise<unknown>;
  isReady(): boolean;
  /** Waits for the answers that are due. */
  close(): Promise<unknown>;
  destroy(): void;
}

export interface RedisConnectionOptions {
  address: RedisAddress;
  maxCommandsUnderWay: number;
  /** Told of every error of the connection; reconnecting goes on by itself. */
  onError: (error: Error) => void;
}

/** A server that says nothing for this long is lost, although its connection stands. */
const silenceTimeoutMs = 3000;
/** Keeps a healthy connection from being silent. */
const pingIntervalMs = 1000;
const connectTimeoutMs = 2000;

/** The client for this address, not yet connected. */
export function createConnection(options: RedisConnectionOptions): RedisConnection {
  const { address, onError } = options;
  // Our own timer covers the answer too, which the client's does not.
  const commandOptions = { timeout: 0 };
  const common = {
    disableOfflineQueue: true,
    commandsQueueMaxLength: options.maxCommandsUnderWay,
    pingInterval: pingIntervalMs,
    maintNotifications: "disabled",
  } as const;

  switch (address.kind) {
    case "standalone":
    case "socket": {
      const client = createClient({
        ...common,
        ...(address.kind === "standalone"
          ? { url: address.url, socket: { ...socketOptions(), ...tlsOptions(address.trust) } }
          : { socket: { ...socketOptions(), path: address.path, tls: false } }),
        commandOptions,
      }).on("error", onError);
      return {
        connect: () => client.connect(),
        send: (_key, args) => client.sendCommand(args),
        subscribe: (channel, onMessage) => client.subscribe(channel, onMessage),
        isReady: () => client.isReady,
        close: () => client.close(),
        destroy: () => client.isOpen && client.destroy(),
      };
    }
    case "sentinel": {
      const sentinel = createSentinel({
        name: address.masterName,
        sentinelRootNodes: address.sentinels.map(({ host, port }) => ({ host, port })),
        nodeClientOptions: { ...common, ...credentialOptions(address), database: address.database },
        sentinelClientOptions: { ...common, ...credentialOptions(address) },
        passthroughClientErrorEvents: true,
        commandOptions,
      }).on("error", onError);
      return {
        connect: () => sentinel.connect(),
        send: (_key, args) => sentinel.sendCommand(false, args),
        subscribe: (channel, onMessage) => sentinel.subscribe(channel, onMessage),
        isReady: () => sentinel.isReady,
        close: () => sentinel.close(),
        destroy: () => void sentinel.destroy().catch(onError),
      };
    }
    case "cluster": {
      const cluster = createCluster({
        rootNodes: address.nodes.map(({ host, port }) => ({ socket: { host, port } })),
        // The nodes that the root nodes name get nothing but these.
        defaults: { ...common, ...credentialOptions(address) },
        commandOptions,
      }).on("error", onError);
      return {
        connect: () => cluster.connect(),
        send: (key, args) => cluster.sendCommand(key, false, args),
        subscribe: (channel, onMessage) => cluster.subscribe(channel, onMessage),
        isReady: () => cluster.isReady,
        close: () => cluster.close(),
        destroy: () => cluster.destroy(),
      };
    }
  }
}

/** Waits longer after each failure, up to two seconds, and never in step with other instances. */
export function reconnectDelayMs(failures: number): number {
  return Math.min(2000, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
}

/** New for every client: the client writes what it reads in the URL into the object it is given. */
function socketOptions() {
  return {
    connectTimeout: connectTimeoutMs,
    socketTimeout: silenceTimeoutMs,
    reconnectStrategy: reconnectDelayMs,
  };
}

/** What `rediss://` trusts, and who we are. */
function tlsOptions(trust: TlsTrust | undefined) {
  if (trust === undefined) return {};
  const { ca, certificate: cert, key } = trust;
  return {
    tls: true as const,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function credentialOptions({ username, password, tls, trust }: RedisCredentials) {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    socket: tls
      ? { ...socketOptions(), tls: true as const, ...tlsOptions(trust) }
      : socketOptions(),
  };
}
