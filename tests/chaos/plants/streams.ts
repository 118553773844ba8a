import { isRetried, isStream, told, type Plant } from "./plant.ts";

export const streamsPlants: readonly Plant[] = [
  {
    what: "a gap in a stream",
    facts: (facts) => void told(facts, isStream).streams[0]?.sequences.splice(1, 1),
    says: /a resumed stream .* sequences 1 3/,
  },
  {
    what: "an event twice",
    facts: (facts) => void told(facts, isStream).streams[0]?.sequences.splice(1, 0, 1),
    says: /sequences 1 1 2/,
  },
  {
    what: "a stream that said something else",
    facts: (facts) =>
      void told(facts, (seen) => isStream(seen) && !isRetried(seen)).streams[0]?.pieces.push({
        sequence: 99,
        text: "more",
      }),
    says: /its stream said ".*more", stored is/,
  },
  {
    what: "a run that cannot be told again",
    facts: ({ retellings }) => void (retellings[0]!.answer = undefined),
    says: /could not be told to its end/,
  },
  {
    what: "a run that is told otherwise",
    facts: ({ retellings }) => void (retellings[0]!.answer = "something else"),
    says: /is told again as "something else", not as stored/,
  },
  {
    what: "other pieces when it is told again",
    facts: ({ retellings }) =>
      void (retellings[0]!.stream.pieces = [{ sequence: 2, text: "something else" }]),
    says: /is told again in pieces as "something else"/,
  },
];
