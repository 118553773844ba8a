/**
 * What the provider server answers and what the conversations are made of: the
 * same words everywhere, so that every answer can be checked to the last letter.
 */
const words = "the model sends about one word a piece and a piece is some five letters long".split(
  " ",
);

/** The pieces of an answer: one word each, about as long as a token. */
export function answerPieces(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${words[index % words.length]} `);
}

/** The whole text of an answer of so many pieces. */
export function answerText(count: number): string {
  return answerPieces(count).join("");
}

/** What the user says in the n-th exchange, about 130 letters. */
export function question(number: number): string {
  return `Question ${number}: how do I keep the history of a long conversation short enough for the model without losing what matters in it?`;
}
