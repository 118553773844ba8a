import type { CommandOption } from "./command.ts";

/** Options of every command. */
export const commonOptions = {
  json: { type: "boolean", help: "Print JSON." },
  help: { type: "boolean", short: "h", help: "Say what the command does." },
} as const satisfies Record<string, CommandOption>;

/** Options of commands that ask the service. */
export const connectionOptions = {
  server: {
    type: "string",
    value: "HOST:PORT",
    help: "The gRPC port of the service, or https://HOST:PORT. Default: TRIBE_SERVER; without it the database of DATABASE_URL; without that 127.0.0.1:9090.",
  },
  "key-file": {
    type: "string",
    value: "FILE",
    help: "File that holds the API key. Default: TRIBE_API_KEY, TRIBE_API_KEY_FILE, the key in TRIBE_DIR.",
  },
} as const satisfies Record<string, CommandOption>;
