#!/usr/bin/env node
// For a container's health check: exits with 0 if the service on this machine is ready.
import { get } from "node:http";

const port = process.env["HTTP_PORT"] || "8080";
const request = get(
  { host: "127.0.0.1", port, path: "/health/ready", timeout: 2000 },
  (response) => {
    response.resume();
    process.exitCode = response.statusCode === 200 ? 0 : 1;
  },
);
request.on("timeout", () => request.destroy(new Error("no answer within two seconds")));
request.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
