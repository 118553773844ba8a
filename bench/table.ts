/** Lines up a table for a terminal: the first two columns to the left, figures to the right. */
export function formatTable(headings: readonly string[], rows: readonly string[][]): string {
  const lines = [headings, ...rows];
  const shown = headings.map((_, column) => rows.some((row) => row[column]));
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .filter((_, column) => shown[column])
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
