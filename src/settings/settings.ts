import { hash } from "node:crypto";
import type { Audit } from "../audit/audit.ts";
import type { Changes } from "../changes.ts";
import { DomainError, invalidField } from "../errors.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { SettingDefinition } from "./definition.ts";
import { createSettingRepository, type StoredSetting } from "./setting.repository.ts";

/** What the settings are made of. */
export interface SettingsParts {
  postgres: Postgres;
  audit: Audit;
  changes: Changes;
  /** Every setting there is. */
  definitions: readonly SettingDefinition<unknown>[];
  logger: Logger;
}

/** All settings at one moment. */
export interface SettingsSnapshot {
  /** What was set, by name; what was not is missing. */
  values: Record<string, unknown>;
  /** Changes with every change. */
  etag: string;
}

/** What an administrator may change without a restart. */
export interface Settings {
  /** The value in this process, which is at most a second old. No look-up. */
  get<Value>(definition: SettingDefinition<Value>): Value;
  /** Differs after every change; the same in all processes that know it. */
  revision(): number;
  /** Told after any has changed. */
  onChange(listener: () => void): void;
  /** What is stored now. */
  read(): Promise<SettingsSnapshot>;
  /**
   * Sets several; undefined or null sets one back to its default. Only if the etag is right, when
   * one is given. Fails with INVALID_ARGUMENT naming the setting.
   */
  update(
    values: Readonly<Record<string, unknown>>,
    etag: string | undefined,
    trail: AuditTrail,
  ): Promise<SettingsSnapshot>;
  /** Reads them for the first time; while the database is away, the defaults apply. */
  start(): Promise<void>;
}

const subject = "settings";

/** The settings, in memory and in PostgreSQL. */
export function createSettings(parts: SettingsParts): Settings {
  const { changes, logger } = parts;
  const repository = createSettingRepository(parts.postgres, parts.audit);
  const definitions = new Map(parts.definitions.map((definition) => [definition.name, definition]));
  const listeners: (() => void)[] = [];
  let current = new Map<string, unknown>();
  let revision = -1;

  function apply(stored: StoredSetting[]) {
    // Versions only grow: what is not newer was read earlier, or is what applies already.
    const storedRevision = stored.reduce((sum, { version }) => sum + version, 0);
    if (storedRevision <= revision) return;
    const next = new Map<string, unknown>();
    for (const { name, value } of stored) {
      const definition = definitions.get(name);
      if (definition === undefined || value === null) continue;
      try {
        next.set(name, definition.parse(value, refuse));
      } catch (error) {
        // Stored by another version; its default is sound.
        logger.error({ err: error, setting: name }, "a stored setting is wrong and is not applied");
      }
    }
    current = next;
    revision = storedRevision;
    for (const listener of listeners) listener();
  }
  async function load() {
    try {
      apply(await repository.list());
    } catch (error) {
      logger.warn({ err: error }, "the settings cannot be read; the last known ones apply");
    }
  }
  changes.listen({
    changed: (changed) => changed === subject && void load(),
    missed: () => void load(),
    poll: async (sinceMs) => ((await repository.changedSince(sinceMs)) ? [subject] : []),
  });

  return {
    get<Value>(definition: SettingDefinition<Value>) {
      return current.has(definition.name)
        ? (current.get(definition.name) as Value)
        : definition.default;
    },
    revision: () => revision,
    onChange: (listener) => void listeners.push(listener),
    read: async () => snapshotOf(await repository.list()),
    async update(values, etag, trail) {
      const checked = new Map<string, unknown>();
      for (const [name, value] of Object.entries(values)) {
        const field = `settings.values.${name}`;
        const definition = definitions.get(name);
        if (definition === undefined) {
          const known = [...definitions.keys()].sort().join(", ");
          throw invalidField(field, `is no setting; there are ${known}`);
        }
        const wrong = (description: string): never => {
          throw invalidField(field, description);
        };
        const isReset = value === undefined || value === null;
        // The value as it was given: what parsing makes of it is for this version only.
        if (!isReset) definition.parse(value, wrong);
        checked.set(name, isReset ? null : value);
        trail.facts[name] = JSON.stringify(value ?? null);
      }
      const isCurrent = (stored: StoredSetting[]) => etag === undefined || etagOf(stored) === etag;
      const updated = await repository.update(checked, isCurrent, trail);
      if (updated === "changed_meanwhile") {
        throw new DomainError(
          "ABORTED",
          "ETAG_MISMATCH",
          "the settings have changed meanwhile; get them and try again with their etag",
        );
      }
      apply(updated);
      changes.publish([subject]);
      return snapshotOf(updated);
    },
    start: load,
  };
}

function refuse(description: string): never {
  throw new Error(description);
}

function snapshotOf(stored: StoredSetting[]): SettingsSnapshot {
  const set = stored.filter(({ value }) => value !== null);
  return {
    values: Object.fromEntries(set.map(({ name, value }) => [name, value])),
    etag: etagOf(stored),
  };
}

function etagOf(stored: StoredSetting[]): string {
  return hash("sha256", JSON.stringify(stored.map(({ name, version }) => [name, version]))).slice(
    0,
    16,
  );
}
