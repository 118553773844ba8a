/** What docker-compose.yml promises of every service. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";

interface Service {
  image?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  user?: string;
  profiles?: string[];
  healthcheck?: { disable?: boolean; interval?: string };
  deploy?: { resources?: { limits?: Record<string, unknown> } };
  ports?: string[];
  volumes?: string[];
}

const root = join(import.meta.dirname, "../..");
const { services } = parse(readFileSync(join(root, "docker-compose.yml"), "utf8"), {
  merge: true,
}) as { services: Record<string, Service> };
const all = Object.entries(services);
const once = ["setup", "migrate", "greeting"];

test.each(all)("%s may write nothing but its volumes, and has no capabilities", (_, service) => {
  expect(service.read_only).toBe(true);
  expect(service.cap_drop).toEqual(["ALL"]);
  expect(service.security_opt).toEqual(["no-new-privileges:true"]);
});

test.each(all)("%s starts again when it ends, unless it runs once", (name, { restart }) => {
  expect(restart).toBe(once.includes(name) ? "no" : "unless-stopped");
});

const running = all.filter(([name]) => !once.includes(name));

test.each(running)("%s has limits", (_, { deploy }) => {
  expect(Object.keys(deploy?.resources?.limits ?? {})).toEqual(["cpus", "memory", "pids"]);
});

test.each(running.filter(([, { profiles }]) => !profiles))(
  "%s is looked at every thirty seconds at least",
  (_, { healthcheck }) => {
    expect(Number.parseInt(healthcheck?.interval ?? "", 10)).toBeLessThanOrEqual(30);
  },
);

test("only nginx is reached from outside, and nobody but the one-time setup is root", () => {
  const published = all.filter(([, { ports = [] }]) =>
    ports.some((port) => !port.startsWith("127.0.0.1:")),
  );
  expect(published.map(([name]) => name)).toEqual(["nginx"]);
  const roots = all.filter(([, { user }]) => user?.startsWith("0"));
  expect(roots.map(([name]) => name)).toEqual(["setup"]);
});

test("what is mounted from the repository is there", () => {
  const mounted = all.flatMap(([, { volumes = [] }]) =>
    volumes.flatMap((volume) => /^\.\/([^:]+):/.exec(volume)?.[1] ?? []),
  );
  const own = mounted.filter((path) => !path.startsWith("secrets"));
  expect(own.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("the image has what the Dockerfile copies, and nothing that is secret", () => {
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8");
  const kept = ignored.split("\n").filter((line) => line.startsWith("!"));
  expect(ignored).toMatch(/^\*$/m);
  const copied = [
    ...readFileSync(join(root, "Dockerfile"), "utf8").matchAll(/^COPY (?!--)(.+) \S+$/gm),
  ];
  const sources = copied.flatMap(([, paths = ""]) => paths.split(" "));
  expect(kept.map((line) => line.slice(1)).sort()).toEqual([...new Set(sources)].sort());
});
