/** HTTP/1.1 spoken by hand, for what no client would send. */
import { connect } from "node:net";

export interface RawHttpResponse {
  status: number;
  headers: Headers;
  body: string;
}

/** Writes pieces to a connection and reads until it is closed. */
export function talk(url: string, ...pieces: (string | Uint8Array)[]): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => (received += text));
    socket.on("close", () => resolve(received));
    socket.on("error", reject);
    for (const piece of pieces) socket.write(piece);
  });
}

/** The first response in what `talk` has read; its body must not be chunked. */
export function parseResponse(text: string): RawHttpResponse {
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(" ")[1]), headers, body };
}
