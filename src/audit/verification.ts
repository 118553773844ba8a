import type { DerivedKey } from "../key-ring.ts";
import { type ChainedEvent, headSeal, linkHash, noHash } from "./chain.ts";

/** A link as it is stored, with the event that it names, if that is still there. */
export interface StoredLink {
  sequence: number;
  eventId: string;
  previousHash: Buffer;
  hash: Buffer;
  keyId: string;
  event: ChainedEvent | undefined;
  /** Whether the details that the event's digest is of are there and match it. */
  details: "none" | "match" | "differ" | "missing";
}

/** The chain's end as it is stored. */
export interface StoredHead {
  sequence: number;
  hash: Buffer;
  seal: Buffer;
  keyId: string;
}

/** What was found wrong first. */
export interface ChainFault {
  sequence: number;
  problem: string;
}

/** Goes along the chain, link by link. */
export interface ChainWalk {
  /** The next link. Gives what is wrong with it, or with what should have been before it. */
  step(link: StoredLink): ChainFault | undefined;
  /** After the last link. */
  end(head: StoredHead | undefined): ChainFault | undefined;
  readonly checked: number;
}

/** Begins before the first link. `isErased` says whether an event's details had to be erased. */
export function walkChain(
  keys: readonly DerivedKey[],
  isErased: (event: ChainedEvent) => boolean,
): ChainWalk {
  const keysById = new Map(keys.map((key) => [key.id, key]));
  let sequence = 0;
  let hash = noHash;

  function step(link: StoredLink): ChainFault | undefined {
    const expected = sequence + 1;
    if (link.sequence !== expected) return missing(expected, link.sequence - 1);
    const { event } = link;
    if (event === undefined) return fault(expected, `event ${link.eventId} was removed`);
    if (!link.previousHash.equals(hash)) {
      return fault(expected, `event ${link.eventId} does not follow the event before it`);
    }
    const key = keysById.get(link.keyId);
    if (key === undefined) return fault(expected, `no secret is known for key ${link.keyId}`);
    if (!linkHash(key, hash, expected, event).equals(link.hash)) {
      return fault(expected, `event ${link.eventId} was changed or moved`);
    }
    if (link.details === "differ") {
      return fault(expected, `the details of event ${link.eventId} were changed`);
    }
    if (link.details === "missing" && !isErased(event)) {
      return fault(expected, `the details of event ${link.eventId} were removed`);
    }
    sequence = expected;
    hash = link.hash;
    return undefined;
  }

  function end(head: StoredHead | undefined): ChainFault | undefined {
    if (head === undefined) {
      return sequence === 0 ? undefined : fault(sequence, "the seal of the log's end was removed");
    }
    const key = keysById.get(head.keyId);
    if (key === undefined) return fault(sequence, `no secret is known for key ${head.keyId}`);
    if (!headSeal(key, head.sequence, head.hash).equals(head.seal)) {
      return fault(sequence, "the seal of the log's end was changed");
    }
    if (head.sequence > sequence) return missing(sequence + 1, head.sequence);
    if (head.sequence < sequence || !head.hash.equals(hash)) {
      return fault(sequence, "the log goes on behind its sealed end");
    }
    return undefined;
  }

  return {
    step,
    end,
    get checked() {
      return sequence;
    },
  };
}

function missing(first: number, last: number): ChainFault {
  if (last < first) return fault(first, "the sequence repeats itself");
  const text =
    last === first ? `event ${first} was removed` : `events ${first} to ${last} were removed`;
  return fault(first, text);
}

function fault(sequence: number, problem: string): ChainFault {
  return { sequence, problem };
}
