import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditEventSchema } from "../../gen/tribe/v1/admin_pb.js";
import { connectionOptions } from "./cli-options.ts";
import { type Command, type CommandContext, requireId, wholeNumber } from "./command.ts";
import { toJsonList } from "./output.ts";

/** The audit log, as operators read it. */
export const auditCommands: readonly Command[] = [
  {
    name: "audit verify",
    summary: "Find any edited, removed or reordered audit event. Exit code 1 if there is one.",
    options: connectionOptions,
    run: verify,
  },
  {
    name: "audit tail",
    summary: "Show the last audit events, the newest at the end.",
    options: {
      lines: { type: "string", short: "n", value: "COUNT", help: "How many. Default: 20." },
      user: { type: "string", value: "ID", help: "Only what this user did." },
      action: { type: "string", value: "ACTION", help: "Only this, as identity.key.create." },
      ...connectionOptions,
    },
    run: tail,
  },
];

async function verify({ output, connect }: CommandContext) {
  const { admin, where } = await connect();
  const { valid, eventsChecked, firstInvalidSequence, problem } = await admin.verifyAuditLog({});
  if (output.isJson) {
    output.json({
      valid,
      eventsChecked: Number(eventsChecked),
      ...(!valid && { firstInvalidSequence: Number(firstInvalidSequence), problem }),
    });
  } else if (valid) output.line(`The audit log of ${where} is whole: ${eventsChecked} events.`);
  else {
    output.line(
      `The audit log of ${where} is DAMAGED at event ${firstInvalidSequence}: ${problem}.`,
    );
    output.line(`The ${eventsChecked} events before it are as they were written.`);
  }
  return valid ? 0 : 1;
}

async function tail({ given, output, connect }: CommandContext) {
  const lines = wholeNumber(given, "lines", 1, 100_000) ?? 20;
  const user = given.text("user");
  const filter = {
    userId: user === undefined ? "" : requireId(user, "user's id"),
    action: given.text("action") ?? "",
  };
  const { admin } = await connect();
  const events: AuditEvent[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(500, lines - events.length);
    const page = await admin.listAuditEvents({ ...filter, pageSize, pageToken });
    events.push(...page.auditEvents);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && events.length < lines);
  events.reverse();
  if (output.isJson) output.json(toJsonList(AuditEventSchema, events));
  else {
    const headings = ["EVENT", "TIME", "ACTION", "OUTCOME", "USER", "RESOURCE", "ADDRESS", "FACTS"];
    output.table(headings, events.map(toRow));
  }
  return 0;
}

function toRow(event: AuditEvent): string[] {
  return [
    String(event.sequence),
    event.createTime ? timestampDate(event.createTime).toISOString() : "",
    event.action,
    event.outcome,
    event.userId,
    event.resource,
    event.address,
    Object.entries(event.facts)
      .map(([name, value]) => `${name}=${value}`)
      .join(" "),
  ];
}
