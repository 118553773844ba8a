/** Writes bytes to a server and reads the answers, however odd the bytes are. */
import { connect } from "node:net";
import type { FuzzRequest } from "./requests.ts";

/** One answer; its body is what has arrived of it. */
export interface FuzzAnswer {
  readonly status: number;
  /** Status line and headers. */
  readonly head: string;
  readonly body: string;
  readonly complete: boolean;
}

/** A server that has gone quiet for so long waits for more of the request. */
const quietMs = 150;
/** It must have ended the connection so long after the client has. */
const patienceMs = 20_000;

/**
 * Sends a request and reads until every answer is there or the connection is
 * closed. A server that waits for more is told that there is no more. Throws an
 * Error if the connection then stays open.
 */
export function exchange(port: number, request: FuzzRequest): Promise<FuzzAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const isHead = request.pieces[0]?.toString("latin1", 0, 5) === "HEAD ";
    const chunks: Buffer[] = [];
    let answers: FuzzAnswer[] = [];
    let rest = "";
    let fault: Error | undefined;
    const quiet = setTimeout(() => {
      // A stream that has begun is one that this client does not want to follow.
      if (answers.at(-1)?.complete === false) socket.destroy();
      else socket.end();
    }, quietMs);
    const patience = setTimeout(() => {
      fault = new Error("the connection stays open");
      socket.destroy();
    }, patienceMs);
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      quiet.refresh();
      ({ answers, rest } = parseAnswers(Buffer.concat(chunks).toString("latin1"), isHead));
      if (isAnswered(answers, request)) socket.end();
    });
    socket.on("error", () => {
      // The server may refuse what is left of a request that it has answered.
    });
    socket.on("close", () => {
      clearTimeout(quiet);
      clearTimeout(patience);
      if (rest !== "" && !rest.startsWith(startOfAnswer)) fault = new Error(`no answer: ${rest}`);
      if (fault !== undefined) reject(fault);
      else resolve(answers);
    });
    for (const piece of request.pieces) socket.write(piece);
    if (request.leaves) socket.destroySoon();
  });
}

/** Whether no more is to be expected. */
function isAnswered(answers: readonly FuzzAnswer[], { requests }: FuzzRequest): boolean {
  const isWhole = ({ status, complete }: FuzzAnswer) => complete && status >= 200;
  return answers.filter(isWhole).length >= requests;
}

const startOfAnswer = "HTTP/1.1 ";

/** The answers in what has been read, and what is left. One to HEAD has no body, whatever its length says. */
function parseAnswers(text: string, isHead: boolean): { answers: FuzzAnswer[]; rest: string } {
  const answers: FuzzAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(rest) ?? [];
    if (status === undefined || end === -1) return { answers, rest };
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    const { body, length, complete } = isHead ? noBody : bodyOf(head, rest, Number(status));
    answers.push({ status: Number(status), head, body, complete });
    rest = isHead ? "" : rest.slice(length);
  }
}

const noBody = { body: "", length: 0, complete: true };

function bodyOf(head: string, rest: string, status: number) {
  if (status < 200 || status === 204 || status === 304) return noBody;
  // The answer to a HEAD among others.
  if (rest.startsWith(startOfAnswer)) return noBody;
  const [, digits] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
  if (digits !== undefined) {
    const length = Number(digits);
    return { body: rest.slice(0, length), length, complete: rest.length >= length };
  }
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) {
    return { body: rest, length: rest.length, complete: false };
  }
  let body = "";
  let at = 0;
  for (;;) {
    const [line, hex = ""] = /^([0-9a-f]+)\r\n/i.exec(rest.slice(at, at + 20)) ?? [];
    if (line === undefined) return { body, length: rest.length, complete: false };
    const size = Number.parseInt(hex, 16);
    at += line.length;
    if (size === 0) return { body, length: at + 2, complete: rest.length >= at + 2 };
    body += rest.slice(at, at + size);
    at += size + 2;
  }
}
