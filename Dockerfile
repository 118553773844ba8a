# Tribe as a container: Node, its packages and our TypeScript; no shell, no package manager, not root.
#
# Whoever must know what they run pins both bases: --build-arg NODE_DIGEST=sha256:… and
# BASE_DIGEST=sha256:… (the release workflow does).
ARG NODE_IMAGE=node:24-bookworm-slim
ARG NODE_DIGEST=
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot
ARG BASE_DIGEST=

FROM ${NODE_IMAGE}${NODE_DIGEST:+@${NODE_DIGEST}} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages are the embedded PostgreSQL, which a container never runs. None of the
# others needs its install scripts. A registry of one's own: --secret id=npmrc,src=$HOME/.npmrc
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
RUN npm sbom --package-lock-only --omit=dev --omit=optional --sbom-format=cyclonedx > sbom.cdx.json
# What a running service never reads.
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
  && rm -rf node_modules/openai/src node_modules/@anthropic-ai/sdk/src node_modules/swagger-ui-dist/*es-bundle*
COPY bin bin
COPY client client
COPY deploy/*.ts deploy/
COPY docs/openapi.json docs/openapi.json
COPY gen gen
COPY src src

FROM ${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tribe" \
      org.opencontainers.image.description="Self-hosted AI chat backend: gRPC, Connect and REST from one process" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      tribe.sbom.path="/app/sbom.cdx.json" \
      tribe.sbom.format="CycloneDX"
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /app /app
WORKDIR /app
USER 65532:65532
ENV NODE_ENV=production PATH=/usr/local/bin:/usr/bin:/bin
EXPOSE 8080 9090 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "/app/bin/health.js"]
# Node is process 1: it gets the signals itself. The flags are those of `npm start`.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--heap-growing-percent=20", "/app/bin/tribe.js"]
CMD ["start"]
