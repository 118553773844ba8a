import type { Postgres } from "../postgres/postgres.ts";
import type { Vault } from "./vault.ts";

const list = { name: "content_keys_list", text: "select id from content_keys" };
const add = {
  name: "content_keys_add",
  text: "insert into content_keys (id) values ($1) on conflict do nothing",
};

/** Content was sealed with keys that this process was not given. */
export class MissingContentKeyError extends Error {
  override readonly name = "MissingContentKeyError";
}

/**
 * Notes the key that will seal, and refuses to go on without one that has sealed.
 * @throws MissingContentKeyError that says what to do.
 */
export async function checkContentKeys(postgres: Postgres, vault: Vault): Promise<void> {
  const rows = await postgres.query<[string]>(list, []);
  const unknown = rows.map(([id]) => id).filter((id) => !vault.keyIds.includes(id));
  if (unknown.length > 0) {
    const given = vault.keyIds.length === 0 ? "none is set" : `set are ${vault.keyIds.join(", ")}`;
    throw new MissingContentKeyError(
      `CONTENT_KEY: the database has content that is sealed with key ${unknown.join(", ")}, and ${given}. ` +
        "Add its secret behind the others, with a comma between; `tribe messages reseal` then makes it unneeded. " +
        "If it is lost, so is what it sealed: delete its row of the table content_keys to start without it.",
    );
  }
  if (vault.keyId !== undefined) await postgres.query(add, [vault.keyId]);
}
