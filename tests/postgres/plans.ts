import type { Statement } from "../../src/postgres/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";

/** A node of a plan, as EXPLAIN gives it. */
export interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Shared Hit Blocks"?: number;
  "Shared Read Blocks"?: number;
  Plans?: PlanNode[];
}

type Explained = { "QUERY PLAN": { Plan: PlanNode }[] };

/** The plan that PostgreSQL keeps for a prepared statement, whatever its values. */
export async function genericPlan({ sql }: TestDatabase, statement: Statement) {
  const [row] = await sql<Explained>(`explain (generic_plan, format json) ${statement.text}`);
  return rootOf(row);
}

/** The plan for a query with values in it. */
export async function planOf({ sql }: TestDatabase, query: string) {
  const [row] = await sql<Explained>(`explain (format json) ${query}`);
  return rootOf(row);
}

/** How many blocks a query reads: a measure of its cost that no other load disturbs. */
export async function blocksRead({ sql }: TestDatabase, statement: Statement, values: unknown[]) {
  const query = statement.text.replaceAll(/\$(\d+)/g, (_, index: string) =>
    literal(values[Number(index) - 1]),
  );
  const [row] = await sql<Explained>(`explain (analyze, buffers, format json) ${query}`);
  const root = rootOf(row);
  return (root["Shared Hit Blocks"] ?? 0) + (root["Shared Read Blocks"] ?? 0);
}

/** The node and all nodes under it. */
export function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Names of the tables that are read from end to end. */
export function scannedTables(root: PlanNode): (string | undefined)[] {
  return nodesOf(root)
    .filter((node) => node["Node Type"].includes("Seq Scan"))
    .map((node) => node["Relation Name"]);
}

/** Whether anything is sorted. */
export function sorts(root: PlanNode): boolean {
  return nodesOf(root).some((node) => node["Node Type"].includes("Sort"));
}

function rootOf(row: Explained | undefined): PlanNode {
  const root = row?.["QUERY PLAN"][0]?.Plan;
  if (root === undefined) throw new Error("EXPLAIN gave no plan");
  return root;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return "null";
  return typeof value === "number" ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}
