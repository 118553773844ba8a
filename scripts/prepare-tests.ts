/**
 * Before the tests: what they need beside npm's packages is a redis-server, nginx and promtool. On
 * Debian and Ubuntu root gets them installed; everybody else is told what to install.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const servicePolicy = "/usr/sbin/policy-rc.d";
// Where Debian has what only administrators run.
process.env["PATH"] = `${process.env["PATH"]}:/usr/sbin`;

/** A program of the system that the tests run. */
interface Need {
  readonly name: string;
  /** Debian's packages. */
  readonly packages: readonly string[];
  /** The only file of the package that is needed; then the rest is not installed. */
  readonly only?: string;
  /** Whether it is there, and new enough. */
  isMet(): boolean;
  /** How else to get it. */
  readonly advice: readonly string[];
}

const needs: readonly Need[] = [
  {
    name: "redis-server and redis-cli, version 6.2 or newer",
    packages: ["redis-server"],
    isMet() {
      if (!has("redis-cli", "--version") || !has("redis-server", "--version")) return false;
      const version = execFileSync("redis-server", ["--version"], { encoding: "utf8" });
      const [major = 0, minor = 0] = /\bv=(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
      return major > 6 || (major === 6 && minor >= 2);
    },
    advice: [
      "Debian, Ubuntu  sudo apt-get install redis-server",
      "Fedora          sudo dnf install redis",
      "Alpine          apk add redis",
      "macOS           brew install redis",
    ],
  },
  {
    name: "nginx",
    packages: ["nginx", "libnginx-mod-http-brotli-filter"],
    isMet: () => has("nginx", "-v"),
    advice: [
      "Debian, Ubuntu  sudo apt-get install nginx",
      "Fedora          sudo dnf install nginx",
      "Alpine          apk add nginx",
      "macOS           brew install nginx",
    ],
  },
  {
    name: "promtool",
    packages: ["prometheus"],
    // The package is a server with a web interface: 96 MB and a dozen other packages.
    only: "usr/bin/promtool",
    isMet: () => has("promtool", "--version"),
    advice: [
      "Debian, Ubuntu  sudo apt-get install prometheus",
      "Fedora          sudo dnf install prometheus",
      "Alpine          apk add prometheus",
      "macOS           brew install prometheus",
    ],
  },
];

function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function aptGet(args: readonly string[], cwd?: string) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const output = ["ignore", "inherit", "inherit"] as const;
  execFileSync("apt-get", ["-q", "-y", ...args], { env, stdio: [...output], cwd });
}

function install(needed: readonly Need[]) {
  const packages = needed.filter(({ only }) => only === undefined).flatMap((it) => it.packages);
  process.stdout.write(
    `The tests need ${needed.map(({ name }) => name).join(", ")}: installing.\n`,
  );
  aptGet(["update"]);
  // Debian starts what it installs, unless this says no: the tests start servers of their own.
  const isPolicyOurs = !existsSync(servicePolicy);
  if (isPolicyOurs) writeFileSync(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    if (packages.length > 0) aptGet(["install", "--no-install-recommends", ...packages]);
  } finally {
    if (isPolicyOurs) rmSync(servicePolicy, { force: true });
  }
  for (const { only, packages } of needed) if (only !== undefined) installFile(packages, only);
}

/** Takes one program out of a package. */
function installFile(packages: readonly string[], path: string) {
  const folder = mkdtempSync(join(tmpdir(), "tribe-package-"));
  try {
    aptGet(["download", ...packages], folder);
    for (const name of readdirSync(folder)) {
      execFileSync("dpkg-deb", ["--extract", join(folder, name), folder]);
    }
    copyFileSync(join(folder, path), join("/usr/local/bin", basename(path)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const missing = () => needs.filter((need) => !need.isMet());

const toInstall = missing();
if (toInstall.length > 0 && process.getuid?.() === 0 && has("apt-get", "--version")) {
  try {
    install(toInstall);
  } catch (error) {
    process.stderr.write(`apt-get failed: ${String(error)}\n`);
  }
}
for (const { name, advice } of missing()) {
  const lines = advice.map((line) => `  ${line}\n`).join("");
  process.stderr.write(`The tests need ${name} on the PATH:\n${lines}`);
  process.exitCode = 1;
}
