/** What docker-compose.yml promises of every service. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { makeFolder } from "../support/folder.ts";

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
  environment?: Record<string, string | number>;
  env_file?: { path: string; required: boolean }[];
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

test.each(running)("%s is looked at every thirty seconds at least", (_, { healthcheck }) => {
  expect(Number.parseInt(healthcheck?.interval ?? "", 10)).toBeLessThanOrEqual(30);
});

test("the images of others run as users without rights, by their numbers", () => {
  const others = running.filter(([, { image = "" }]) => !image.includes("TRIBE_IMAGE"));
  expect(others.length).toBeGreaterThan(5);
  for (const [, { user }] of others) expect(user).toMatch(/^[1-9]\d*:\d+$/);
});

test("only nginx is reached from outside, and nobody but the one-time setup is root", () => {
  const published = all.filter(([, { ports = [] }]) =>
    ports.some((port) => !port.startsWith("127.0.0.1:")),
  );
  expect(published.map(([name]) => name)).toEqual(["nginx"]);
  const roots = all.filter(([, { user }]) => user?.startsWith("0"));
  expect(roots.map(([name]) => name)).toEqual(["setup"]);
});

test("the images of others have a version, so that tomorrow's is today's", () => {
  const images = running.flatMap(([, { image = "" }]) => /:-(.+)\}$/.exec(image)?.[1] ?? []);
  expect(images.length).toBe(running.length);
  for (const image of images.filter((name) => name !== "tribe:latest"))
    expect(image).toMatch(/^[a-z/]+:v?\d+(\.\d+)*$/);
});

test("nobody changes anything in Grafana without the password that was made for it", () => {
  const { environment = {}, volumes } = services["grafana"] ?? {};
  expect(environment).not.toHaveProperty("GF_SECURITY_ADMIN_PASSWORD");
  expect(environment).toMatchObject({
    GF_SECURITY_ADMIN_PASSWORD__FILE: "/run/secrets/admin-password",
    GF_AUTH_ANONYMOUS_ORG_ROLE: "Viewer",
  });
  expect(volumes).toContain("./secrets/grafana:/run/secrets:ro");
});

test("every secret that a service reads is made at the first start, for its user alone", () => {
  const temporary = makeFolder();
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, "deploy/setup.ts"), temporary.path],
    { encoding: "utf8" },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const read = all.flatMap(([, { volumes = [], environment = {}, user = "65532:65532" }]) => {
    const [folder = ""] = volumes.flatMap(
      (volume) => /^\.\/secrets\/(\w+):\/run\/secrets:ro$/.exec(volume)?.[1] ?? [],
    );
    return Object.values(environment).flatMap((value) => {
      const name = /^\/run\/secrets\/(\S+)$/.exec(String(value))?.[1];
      return name === undefined ? [] : { path: join(temporary.path, folder, name), user };
    });
  });
  expect(read.length).toBeGreaterThan(5);
  const isRoot = process.getuid?.() === 0;
  for (const { path, user } of read) {
    const { mode, uid } = statSync(path);
    expect({ mode: mode & 0o777, uid }).toEqual({
      mode: 0o400,
      uid: isRoot ? Number.parseInt(user, 10) : uid,
    });
  }
  temporary.remove();
});

test("the instances read what .env says, but for where they listen and what was made for them", () => {
  const { env_file, environment = {} } = services["app"] ?? {};
  expect(env_file).toEqual([{ path: ".env", required: false }]);
  // Others count on these.
  expect(environment).toMatchObject({
    HOST: "0.0.0.0",
    HTTP_PORT: 8080,
    GRPC_PORT: 9090,
    METRICS_PORT: 9464,
    DATABASE_URL_FILE: "/run/secrets/database-url",
  });
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
