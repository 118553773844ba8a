/**
 * Before the tests: what they need beside npm's packages is a redis-server. On Debian and
 * Ubuntu root gets it installed; everybody else is told what to install.
 */
import { execFileSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

const servicePolicy = "/usr/sbin/policy-rc.d";

function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Both programs, and of version 6.2 or newer. */
function hasRedis(): boolean {
  if (!has("redis-cli", "--version") || !has("redis-server", "--version")) return false;
  const version = execFileSync("redis-server", ["--version"], { encoding: "utf8" });
  const [major = 0, minor = 0] = /\bv=(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  return major > 6 || (major === 6 && minor >= 2);
}

function aptGet(...args: string[]) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const output = ["ignore", "inherit", "inherit"] as const;
  execFileSync("apt-get", ["-q", "-y", ...args], { env, stdio: [...output] });
}

function installRedis() {
  process.stdout.write("The tests need redis-server: installing it with apt-get.\n");
  // Debian starts what it installs, unless this says no: the tests start servers of their own.
  const isPolicyOurs = !existsSync(servicePolicy);
  if (isPolicyOurs) writeFileSync(servicePolicy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    aptGet("update");
    aptGet("install", "--no-install-recommends", "redis-server");
  } finally {
    if (isPolicyOurs) rmSync(servicePolicy, { force: true });
  }
}

if (!hasRedis() && process.getuid?.() === 0 && has("apt-get", "--version")) {
  try {
    installRedis();
  } catch (error) {
    process.stderr.write(`apt-get failed: ${String(error)}\n`);
  }
}
if (!hasRedis()) {
  process.stderr.write(
    [
      "The tests need redis-server and redis-cli, version 6.2 or newer, on the PATH:",
      "  Debian, Ubuntu  sudo apt-get install redis-server",
      "  Fedora          sudo dnf install redis",
      "  Alpine          apk add redis",
      "  macOS           brew install redis",
      "",
    ].join("\n"),
  );
  process.exitCode = 1;
}
