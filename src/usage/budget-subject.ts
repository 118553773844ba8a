/** Whose budget it is. */
export type BudgetSubject =
  | { readonly kind: "everyone" }
  | { readonly kind: "user"; readonly userId: string }
  | { readonly kind: "key"; readonly userId: string; readonly apiKeyId: string };

/** Its name in the database and in QuotaFailure: `everyone`, `user:<id>` or `key:<id>`. */
export function subjectName(subject: BudgetSubject): string {
  switch (subject.kind) {
    case "everyone":
      return "everyone";
    case "user":
      return `user:${subject.userId}`;
    case "key":
      return `key:${subject.apiKeyId}`;
  }
}
