/**
 * grpc.health.v1 over the same readiness as the service's own health routes.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import type { DescService } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { notFound } from "../../errors.ts";
import type { Routes } from "../invoke.ts";
import type { Readiness } from "./readiness.ts";

/** Routes of grpc.health.v1 for `services` and, by the empty name, for the whole process. */
export function createGrpcHealthRoutes(
  services: readonly DescService[],
  readiness: Readiness,
): Routes {
  const names = new Set(["", ...services.map((service) => service.typeName)]);

  function statusOf(service: string): ServingStatus {
    if (!names.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return readiness.isReady() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
  return (router) => {
    router.service(Health, {
      check({ service }) {
        if (!names.has(service)) throw notFound("service", service);
        return { status: statusOf(service) };
      },
      list() {
        const statuses = [...names].map((name) => [name, { status: statusOf(name) }] as const);
        return { statuses: Object.fromEntries(statuses) };
      },
      async *watch({ service }, { signal }) {
        let told: ServingStatus | undefined;
        while (!signal.aborted) {
          // Listening begins before the status is read, or a change in between would be missed.
          const change = nextChange(readiness, signal);
          const status = statusOf(service);
          if (status !== told) {
            told = status;
            yield { status };
          }
          if (readiness.isClosing()) return;
          await change;
        }
      },
    });
  };
}

function nextChange(readiness: Readiness, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = readiness.onChange(done);
    signal.addEventListener("abort", done);
  });
}
