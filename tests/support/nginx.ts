/** The real nginx with our configuration, in front of given instances. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Agent, request } from "node:https";
import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { makeCertificate } from "../../deploy/certificate.ts";
import { makeFolder } from "./folder.ts";
import { freePort } from "./redis.ts";

/** Where nginx's module for brotli is, if it is. */
export const brotliModule = "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so";

export interface TestEdge {
  /** `https://127.0.0.1:port`. */
  url: string;
  /** `127.0.0.1:port`, gRPC over TLS. */
  address: string;
  /** Port of the redirections to TLS. */
  httpPort: number;
  /** What its certificate is checked with. */
  authority: string;
  /** Lines of the access log that are written so far. */
  accessLog(): Record<string, unknown>[];
  errorLog(): string;
  /** Writes the configuration again, with more of configure.sh's environment, and reloads. */
  reload(environment: Record<string, string>): Promise<void>;
  /** Whether workers of an earlier configuration still serve connections that they had accepted. */
  hasOldWorkers(): boolean;
  close(): Promise<void>;
}

/** An instance as configure.sh names it. */
export function instanceOf(program: { baseUrl: string; grpcAddress: string }): string {
  return `127.0.0.1:${new URL(program.baseUrl).port}:${program.grpcAddress.split(":")[1]}`;
}

/** Starts nginx on free ports of the loopback; `environment` is configure.sh's. */
export async function startEdge(
  instances: readonly string[],
  environment: Record<string, string> = {},
): Promise<TestEdge> {
  const folder = makeFolder();
  const directory = join(folder.path, "edge");
  const { certificate, key } = makeCertificate();
  const certificateFile = join(folder.path, "certificate.pem");
  const keyFile = join(folder.path, "certificate.key");
  writeFileSync(certificateFile, certificate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const [httpsPort, httpPort, statusPort] = [await freePort(), await freePort(), await freePort()];
  const path = `${process.env["PATH"]}:/usr/sbin`;
  let settings: Record<string, string> = {
    PATH: path,
    EDGE_DIR: directory,
    EDGE_APPS: instances.join(" "),
    EDGE_LISTEN: "127.0.0.1",
    EDGE_HTTPS_PORT: String(httpsPort),
    EDGE_HTTP_PORT: String(httpPort),
    EDGE_STATUS_PORT: String(statusPort),
    EDGE_CERTIFICATE: certificateFile,
    EDGE_CERTIFICATE_KEY: keyFile,
    EDGE_ACCESS_LOG: join(folder.path, "access.log"),
    EDGE_ERROR_LOG: join(folder.path, "error.log"),
    EDGE_RATE: "10000",
    EDGE_BURST: "10000",
    EDGE_CONNECTIONS: "1000",
    ...environment,
  };
  const nginx = ["-p", directory, "-c", join(directory, "nginx.conf")];
  const read = (name: string) => {
    const file = join(folder.path, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  };
  /** Which configuration the workers have that take new connections. */
  const generation = async () => {
    const response = await fetch(`http://127.0.0.1:${statusPort}/generation`);
    return response.text();
  };
  const written = () =>
    /"(\d+)/.exec(readFileSync(join(directory, "generation.generated.conf"), "utf8"))?.[1] ?? "";

  function configure() {
    const script = join(import.meta.dirname, "../../nginx/configure.sh");
    execFileSync(script, { env: settings, stdio: ["ignore", "inherit", "pipe"] });
    execFileSync("nginx", [...nginx, "-t", "-q"], {
      env: { PATH: path },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
  async function untilItServes() {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${read("error.log")}`);
      if ((await generation().catch(() => "")).trim() === written()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  configure();
  const child = spawn("nginx", [...nginx, "-g", "daemon off;"], {
    env: { PATH: path },
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  await untilItServes();
  return {
    url: `https://127.0.0.1:${httpsPort}`,
    address: `127.0.0.1:${httpsPort}`,
    httpPort,
    authority: certificate,
    accessLog: () =>
      read("access.log")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    errorLog: () => read("error.log"),
    async reload(more) {
      settings = { ...settings, ...more };
      configure();
      child.kill("SIGHUP");
      await untilItServes();
    },
    hasOldWorkers() {
      const workers = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
      return workers.split(" ").some((pid) => pid !== "" && isOldWorker(`/proc/${pid}/cmdline`));
    },
    async close() {
      child.kill("SIGTERM");
      await exited;
      folder.remove();
    },
  };
}

function isOldWorker(commandLine: string): boolean {
  try {
    return readFileSync(commandLine, "utf8").includes("is shutting down");
  } catch {
    // It ended meanwhile.
    return false;
  }
}

export interface EdgeResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** HTTP/1.1 over TLS, each call on a connection of its own unless an agent is given. */
export function call(
  edge: Pick<TestEdge, "url" | "authority">,
  path: string,
  options: {
    method?: string;
    headers?: Record<string, string>;
    body?: string | Uint8Array;
    agent?: Agent;
    /** The address of the loopback to call from. */
    localAddress?: string;
  } = {},
): Promise<EdgeResponse> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${edge.url}${path}`,
      {
        ca: edge.authority,
        servername: "localhost",
        agent: false,
        method: body === undefined ? "GET" : "POST",
        ...rest,
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Sends bytes over TLS as they are, and gives what came until nginx closed the connection. */
export function callRaw(
  edge: Pick<TestEdge, "url" | "authority">,
  text: string,
  localAddress = "127.0.0.1",
): Promise<string> {
  return new Promise((resolve) => {
    const options = { ca: edge.authority, servername: "localhost", localAddress };
    const port = Number(new URL(edge.url).port);
    const socket = connectTls({ host: "127.0.0.1", port, ...options });
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (answer += chunk));
    // nginx resets those who are too slow.
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.write(text);
  });
}
