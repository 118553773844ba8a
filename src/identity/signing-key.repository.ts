import type { Postgres } from "../postgres/postgres.ts";

/** A signing key as it is stored. */
export interface StoredSigningKey {
  id: string;
  publicKey: Record<string, string>;
  /** PKCS #8, sealed. */
  privateKey: Buffer;
  /** Signs from then on. */
  activeTime: Date;
  /** Is forgotten then. */
  expireTime: Date;
}

/** Signing keys in PostgreSQL. */
export interface SigningKeyRepository {
  /** Those that are not forgotten, the newest first. */
  list(): Promise<StoredSigningKey[]>;
  /**
   * Adds one unless another process has made one, other than those, that becomes active no
   * earlier than `unless`.
   */
  add(key: StoredSigningKey, unless: Date, otherThan: readonly string[]): Promise<void>;
}

/** Whoever adds a key has this lock. */
const lock = 5_090_102;

const listKeys = {
  name: "signing_keys_list",
  text: `select json_build_array(id, public_key, encode(private_key, 'base64'),
      (extract(epoch from active_time) * 1000)::bigint,
      (extract(epoch from expire_time) * 1000)::bigint)::text
    from signing_keys where expire_time > now() order by active_time desc, id`,
};

/** The signing keys in PostgreSQL. */
export function createSigningKeyRepository(postgres: Postgres): SigningKeyRepository {
  type Row = [string, Record<string, string>, string, number, number];
  return {
    async list() {
      const rows = await postgres.query<[string]>(listKeys, []);
      return rows.map(([json]) => {
        const [id, publicKey, privateKey, activeTime, expireTime] = JSON.parse(json) as Row;
        return {
          id,
          publicKey,
          privateKey: Buffer.from(privateKey, "base64"),
          activeTime: new Date(activeTime),
          expireTime: new Date(expireTime),
        };
      });
    },
    add: (key, unless, otherThan) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute(`select pg_advisory_xact_lock(${lock})`);
          await em.execute("delete from signing_keys where expire_time <= now()");
          await em.execute(
            `insert into signing_keys (id, public_key, private_key, active_time, expire_time)
             select ?, ?::jsonb, ?::bytea, ?::timestamptz, ?::timestamptz
             where not exists (
               select from signing_keys where active_time >= ?::timestamptz
                 and not id = any(?::text[]))`,
            [
              key.id,
              JSON.stringify(key.publicKey),
              key.privateKey,
              key.activeTime,
              key.expireTime,
              unless,
              `{${otherThan.map((id) => `"${id}"`).join(",")}}`,
            ],
          );
        }),
      ),
  };
}
