/**
 * What is asked and answered: a question carries the number of its operation, so that the
 * provider knows its orders and a message who it belongs to; a piece of an answer is one
 * word and one token, and no two answers are the same.
 */
const words = ["river", "stone", "cloud", "green", "seven", "light", "field", "tower", "music"];

/** Tells one drill's questions from others'. */
export function questionOf(operation: number): string {
  return `Question number ${operation}: what do you see from the window?`;
}

/** Which operation asked this, the last of several questions; undefined: none of ours. */
export function operationOf(text: string): number | undefined {
  const match = [...text.matchAll(/Question number (\d+):/g)].at(-1);
  return match ? Number(match[1]) : undefined;
}

/** The pieces that the provider answers the so-many-eth call for an operation with. */
export function answerPieces(operation: number, call: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const word = words[(operation * 5 + call * 3 + index * (1 + (operation % 7))) % words.length];
    return index === 0 ? `answer${letters(operation)}${letters(call)} ` : `${word} `;
  });
}

function letters(number: number): string {
  return String.fromCharCode(...[...String(number)].map((digit) => 65 + Number(digit)));
}
