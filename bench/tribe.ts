/** Tribe as it runs in production, and conversations to continue. */
import { fromJsonString, toBinary } from "@bufbuild/protobuf";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  ChatService,
  SendMessageRequestSchema,
  SendMessageResponseSchema,
} from "../gen/tribe/v1/chat_pb.js";
import { question } from "./answer.ts";
import type { DatabaseUrls } from "./databases.ts";
import type { LoadTarget } from "./load-job.ts";
import { freePort, runProgram, startService } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import { askOnce, type Subject } from "./subject.ts";

export interface TribeOptions {
  /** Of the subject. */
  name: string;
  /** Variables that differ from subject to subject. */
  environment: Record<string, string>;
  databases: DatabaseUrls;
  providerOrigin: string;
  logs: string;
  /** Options of node itself, for example to profile. */
  nodeOptions: readonly string[];
  /** Messages in each conversation before the question. Odd: the last is a question. */
  historyMessages: number;
  /** Turns go to so many conversations in turn. */
  conversations: number;
}

const root = fileURLToPath(new URL("..", import.meta.url));

/** What `npm start` hands to node, with more options, which count more. */
function startCommand(nodeOptions: readonly string[]): string[] {
  const manifest = readFileSync(`${root}package.json`, "utf8");
  const { scripts } = JSON.parse(manifest) as { scripts: Record<string, string> };
  const command = /\bnode (.+)$/.exec(scripts["start"] ?? "")?.[1];
  if (!command) throw new Error("package.json: the script `start` does not run node");
  const words = command.split(" ");
  const program = words.findIndex((word) => !word.startsWith("-"));
  return [...words.slice(0, program), ...nodeOptions, ...words.slice(program)];
}

interface Conversation {
  conversationId: string;
  /** The message that every turn continues, so that the history never grows. */
  parentMessageId: string;
}

/** Starts Tribe on new databases and makes the conversations, by the API as a client would. */
export async function startTribe(options: TribeOptions): Promise<Subject> {
  const { databaseUrl, redisUrl } = options.databases;
  await runProgram(process.execPath, [`${root}bin/tribe.js`, "migrate"], {
    DATABASE_URL: databaseUrl,
  });
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const key = `tribe-bench-${randomBytes(16).toString("hex")}`;
  const origin = `http://127.0.0.1:${httpPort}`;
  const service = await startService({
    name: options.name,
    command: startCommand(options.nodeOptions),
    directory: root,
    environment: {
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      HOST: "127.0.0.1",
      HTTP_PORT: String(httpPort),
      GRPC_PORT: String(grpcPort),
      ADMIN_API_KEY: key,
      JWT_SECRET: randomBytes(32).toString("hex"),
      OPENAI_API_KEY: "sk-bench",
      OPENAI_BASE_URL: `${options.providerOrigin}/v1`,
      DEFAULT_MODEL: "gpt-4o-mini",
      ...options.environment,
    },
    logs: options.logs,
    readyUrl: `${origin}/health/ready`,
  });
  const authorization = `Bearer ${key}`;
  const rest = (path: string, bodies: Uint8Array[]): LoadTarget => ({
    transport: "http",
    origin,
    path,
    headers: { "content-type": "application/json", authorization },
    bodies,
    minimumBytes: 400,
  });

  const conversations = await makeConversations(options, (request) =>
    askOnce(rest("/api/v1/chat", [Buffer.from(request)])),
  );
  const asked = question(options.historyMessages);
  const requests = conversations.map((conversation) => json(conversation, asked));
  const jsonBodies = requests.map((request) => Buffer.from(request));
  const binaryBodies = requests.map((request) =>
    toBinary(SendMessageRequestSchema, fromJsonString(SendMessageRequestSchema, request)),
  );

  const unary = rest("/api/v1/chat", jsonBodies);
  const stream: LoadTarget = {
    ...rest("/api/v1/chat:stream", jsonBodies),
    headers: { ...unary.headers, accept: "text/event-stream" },
    minimumBytes: 1000,
    firstTextMarker: "text_delta",
  };
  const targets: Record<Scenario, LoadTarget> = {
    rest: unary,
    grpc: {
      transport: "grpc",
      origin: `127.0.0.1:${grpcPort}`,
      path: `/${ChatService.typeName}/${ChatService.method.sendMessage.name}`,
      headers: { authorization },
      bodies: binaryBodies,
      minimumBytes: 200,
    },
    sse: stream,
    paced: stream,
  };
  return { name: options.name, process: service, target: (scenario) => targets[scenario] };
}

function json(conversation: Partial<Conversation>, asked: string): string {
  // The same is asked again and again, and each time the provider shall answer.
  const cache = "CACHE_MODE_BYPASS";
  return JSON.stringify({ ...conversation, content: [{ text: asked }], cache });
}

async function makeConversations(
  { conversations, historyMessages }: TribeOptions,
  ask: (request: string) => Promise<string>,
): Promise<Conversation[]> {
  const made: Conversation[] = [];
  let begun = 0;
  const make = async () => {
    while (begun++ < conversations) {
      let conversationId = "";
      let parentMessageId = "";
      for (let number = 1; number <= (historyMessages + 1) / 2; number++) {
        const known = conversationId ? { conversationId } : {};
        const answer = await ask(json(known, question(number)));
        const response = fromJsonString(SendMessageResponseSchema, answer);
        conversationId = response.conversationId;
        parentMessageId = response.userMessage?.messageId ?? "";
      }
      made.push({ conversationId, parentMessageId });
    }
  };
  await Promise.all(Array.from({ length: 8 }, make));
  return made;
}
