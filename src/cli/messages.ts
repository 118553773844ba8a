import { readCliConfig } from "./cli-config.ts";
import type { Command, CommandContext } from "./command.ts";
import { OperatorError } from "./usage-error.ts";

/** What is stored of conversations. */
export const messageCommands: readonly Command[] = [
  {
    name: "messages reseal",
    summary: "Seal everything stored with the newest CONTENT_KEY, or open it (CONTENT_KEY=none,…).",
    run: resealMessages,
  },
];

/** On the database only: a service has no door through which content could be rewritten. */
async function resealMessages({ environment, output }: CommandContext) {
  const { database, content } = readCliConfig(environment);
  if (database === undefined) throw new OperatorError("DATABASE_URL is not set.");
  if (content.secrets.length === 0) {
    throw new OperatorError(
      "CONTENT_KEY is not set: set it as the service has it, the newest key first, or to `none,` and the old keys to store content in the clear again.",
    );
  }
  const { openDatabase } = await import("./database.ts");
  const { reseal } = await import("../conversations/reseal.repository.ts");
  const { checkContentKeys } = await import("../conversations/content-key.repository.ts");
  const { createVault } = await import("../conversations/vault.ts");
  const vault = createVault(content);
  const postgres = await openDatabase(database);
  try {
    await checkContentKeys(postgres, vault);
    let told = Date.now();
    const resealed = await reseal(postgres, vault, (table, rows) => {
      if (Date.now() - told < 5000) return;
      told = Date.now();
      output.note(`… ${rows} ${table}`);
    });
    if (output.isJson) output.json({ keyId: vault.keyId ?? null, resealed });
    else {
      const counts = Object.entries(resealed).map(([table, rows]) => `${rows} ${table}`);
      const how = vault.isSealing ? `Sealed with key ${vault.keyId}` : "Stored in the clear";
      output.line(`${how}: ${counts.join(", ")}. No other key is needed any more.`);
    }
    return 0;
  } finally {
    await postgres.close();
  }
}
