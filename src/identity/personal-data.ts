import type { AuditTrail } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { violatedConstraint } from "../postgres/failure.ts";
import type { UserRepository } from "./user.repository.ts";

/** What one room keeps of users. */
export interface PersonalData {
  /** All of it, as objects for JSON lines, the next ones read when they are asked for. */
  export(userId: string): AsyncIterable<object>;
  /** Erases it, in pieces; may be done again. */
  erase(userId: string): Promise<void>;
}

/** What erasing and exporting is made of. */
export interface PersonalDataParts {
  users: UserRepository;
  rooms: readonly PersonalData[];
  changes: Pick<Changes, "publish">;
}

/** A turn that was under way may leave a conversation behind: that often it is looked again. */
const maxAttempts = 5;

/** Everything about one user, wherever it is. */
export function createPersonalDataService({ users, rooms, changes }: PersonalDataParts) {
  return {
    /**
     * Erases a user. First nothing of theirs is accepted any more, then what is theirs goes, then
     * they go themselves, together with the event that says so. Whoever is interrupted begins
     * again.
     */
    async erase(userId: string, trail: AuditTrail): Promise<void> {
      await users.disable(userId);
      changes.publish([`user:${userId}`]);
      for (let attempt = 1; ; attempt += 1) {
        for (const room of rooms) await room.erase(userId);
        try {
          await users.delete(userId, trail);
          break;
        } catch (error) {
          if (violatedConstraint(error) === undefined || attempt === maxAttempts) throw error;
        }
      }
      changes.publish([`user:${userId}`]);
    },

    /** Everything about a user as JSON lines, in pieces of some size. */
    async *export(userId: string): AsyncGenerator<Uint8Array, void, undefined> {
      let text = "";
      for (const room of rooms) {
        for await (const record of room.export(userId)) {
          text += `${JSON.stringify(record)}\n`;
          if (text.length < pieceLength) continue;
          yield Buffer.from(text);
          text = "";
        }
      }
      if (text !== "") yield Buffer.from(text);
    },
  };
}

/** A little more than what is gathered before it is sent, in characters. */
const pieceLength = 128 * 1024;

/** Exporting and erasing. */
export type PersonalDataService = ReturnType<typeof createPersonalDataService>;
