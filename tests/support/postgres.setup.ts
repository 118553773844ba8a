import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/embedded/postgres.ts";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";
import { makeFolder } from "./folder.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The server of this run: `postgres://…@127.0.0.1:port`, without a database. */
    postgresUrl: string;
  }
}

/** Starts one PostgreSQL for a run of vitest, with a migrated database to copy from. */
export default async function setup(project: TestProject) {
  const folder = makeFolder();
  const server = await startEmbeddedPostgres({
    directory: folder.path,
    settings: {
      max_connections: "200",
      shared_buffers: "256MB",
      fsync: "off",
      synchronous_commit: "off",
      full_page_writes: "off",
    },
  });
  const url = server.url.slice(0, server.url.lastIndexOf("/"));
  const administration = await createPostgres({ url: server.url, entities, poolSize: 1 });
  await administration.work((em) => em.execute("create database template_tribe"));
  await administration.close();
  const template = await createPostgres({ url: `${url}/template_tribe`, entities });
  await migrate(template);
  await template.close();
  project.provide("postgresUrl", url);

  return async () => {
    await server.stop();
    folder.remove();
  };
}
