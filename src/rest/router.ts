/**
 * Finds the route of a request. A trie over segments, so that the cost depends
 * on the length of the path and not on the number of routes.
 */
import type { PathTemplate } from "./path-template.ts";
import { decodePercent } from "./percent.ts";

/** A route and whatever belongs to it. */
export interface Route<Target> {
  /** `*` stands for every HTTP method that no other route of the same shape names. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly target: Target;
}

/** A route that fits, with the raw segments of the path (without the verb). */
export interface RouteMatch<Target> {
  readonly target: Target;
  readonly segments: readonly string[];
}

/** Routes by path and HTTP method. Paths are raw: as sent, without the query. */
export interface Router<Target> {
  /** The most specific route of that HTTP method. Undefined if there is none. */
  match(httpMethod: string, path: string): RouteMatch<Target> | undefined;
  /** The HTTP methods that `path` has routes for, sorted. */
  allowedMethods(path: string): string[];
}

interface Node<Target> {
  readonly literals: Map<string, Node<Target>>;
  one: Node<Target> | undefined;
  rest: Node<Target> | undefined;
  /** Targets of the templates that end here, by verb and HTTP method. */
  readonly ends: Map<string, Targets<Target>>;
}

/** Targets by HTTP method. */
type Targets<Target> = Map<string, Target>;

/** A path, split for matching. */
interface SplitPath {
  readonly segments: readonly string[];
  readonly verb: string;
}

function createNode<Target>(): Node<Target> {
  return { literals: new Map(), one: undefined, rest: undefined, ends: new Map() };
}

/** Builds a router. The order of the routes does not matter. */
export function createRouter<Target>(routes: readonly Route<Target>[]): Router<Target> {
  const root = createNode<Target>();
  const verbs = new Set<string>();
  for (const { httpMethod, template, target } of routes) {
    let node = root;
    for (const segment of template.segments) {
      if (segment.kind === "literal") {
        let next = node.literals.get(segment.text);
        if (next === undefined) node.literals.set(segment.text, (next = createNode()));
        node = next;
      } else if (segment.kind === "*") node = node.one ??= createNode();
      else node = node.rest ??= createNode();
    }
    let targets = node.ends.get(template.verb);
    if (targets === undefined) node.ends.set(template.verb, (targets = new Map()));
    targets.set(httpMethod, target);
    if (template.verb !== "") verbs.add(template.verb);
  }

  /** The path with its last colon read as the start of a verb. Undefined if no rule has that verb. */
  function withVerb(segments: readonly string[]): SplitPath | undefined {
    const end = segments.length - 1;
    const last = segments[end] ?? "";
    const colon = last.lastIndexOf(":");
    if (colon === -1) return undefined;
    const verb = decodePercent(last.slice(colon + 1));
    if (verb === undefined || !verbs.has(verb)) return undefined;
    return { segments: segments.with(end, last.slice(0, colon)), verb };
  }

  /** Visits the templates that fit: those with a verb go first. */
  function search(
    path: string,
    found: (targets: Targets<Target>) => boolean,
  ): SplitPath | undefined {
    if (path.charCodeAt(0) !== 47) return undefined;
    const segments = path.slice(1).split("/");
    const verbal = withVerb(segments);
    if (verbal !== undefined && visit(root, verbal, 0, found)) return verbal;
    const plain = { segments, verb: "" };
    return visit(root, plain, 0, found) ? plain : undefined;
  }

  return {
    match(httpMethod, path) {
      let target: Target | undefined;
      const split = search(path, (targets) => {
        target = targets.get(httpMethod) ?? targets.get("*");
        return target !== undefined;
      });
      if (split === undefined || target === undefined) return undefined;
      return { target, segments: split.segments };
    },
    allowedMethods(path) {
      const methods = new Set<string>();
      search(path, (targets) => {
        for (const method of targets.keys()) methods.add(method);
        return false;
      });
      return [...methods].sort();
    },
  };
}

/** Visits the templates that fit, the most specific first, until `found` returns true. */
function visit<Target>(
  node: Node<Target>,
  path: SplitPath,
  index: number,
  found: (targets: Targets<Target>) => boolean,
): boolean {
  const segment = path.segments[index];
  if (segment === undefined) {
    const targets = node.ends.get(path.verb);
    if (targets !== undefined && found(targets)) return true;
  } else {
    if (node.literals.size > 0) {
      const decoded = decodePercent(segment);
      const next = decoded === undefined ? undefined : node.literals.get(decoded);
      if (next !== undefined && visit(next, path, index + 1, found)) return true;
    }
    if (node.one !== undefined && visit(node.one, path, index + 1, found)) return true;
  }
  const targets = node.rest?.ends.get(path.verb);
  return targets !== undefined && found(targets);
}
