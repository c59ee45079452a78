# docker build -t sparekey .
# A base image can be pinned by its digest: --build-arg RUNTIME_IMAGE=...@sha256:...
ARG BUILD_IMAGE=docker.io/library/node:26.10.0-trixie-slim
# No shell, no npm. glibc, as the build image has it.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs26-debian13:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Of the packages for development only what compiles: the others are for tests, and are five times as many.
# No script of a package runs: bcrypt brings its binaries along.
RUN node -e "const manifest = require('./package.json'), dev = manifest.devDependencies; \
      for (const name in dev) if (!/^(typescript$|@types\/)/.test(name)) delete dev[name]; \
      fs.writeFileSync('package.json', JSON.stringify(manifest))" \
 && npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src/ src/
RUN npm run build
# What no program reads. Licences stay.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f \( -name '*.md' -o -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \
      -o -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.gyp' -o -name '*.gypi' -o -name '*.yml' -o -name 'Dockerfile*' \) \
      -not -iname 'licen[cs]e*' -delete \
 && find node_modules -type d \( -name test -o -name tests -o -name docs -o -name examples -o -name benchmarks \
      -o -name .github \) -prune -exec rm -r {} + \
 && rm -r node_modules/.package-lock.json node_modules/.bin \
 && find node_modules/bcrypt/prebuilds \( -name '*.musl.node' -o -path '*/darwin-*' -o -path '*/win32-*' \) -delete \
 && find node_modules -type d -empty -delete

FROM ${RUNTIME_IMAGE}
ARG RUNTIME_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sparekey" \
      org.opencontainers.image.description="A forward-auth proxy with timeouts and a fallback: when the auth server cannot decide, sparekey can." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
WORKDIR /app
# Root's, so that the process cannot change its own program.
COPY --from=build /app/node_modules node_modules/
COPY --from=build /app/dist dist/
COPY LICENSE package.json ./
# With it and the options below `run` need not restart itself: docs/decisions/0007-memory.md.
ENV MALLOC_ARENA_MAX=1
ENV SPAREKEY_CONFIG=/etc/sparekey/config/sparekey.yaml
# By number: Kubernetes' runAsNonRoot cannot judge a name.
USER 65532:65532
EXPOSE 8080 9000 9090
STOPSIGNAL SIGTERM
# Each look is a Node process of 0.1 s: half a minute apart it costs next to nothing. Kubernetes has its own probes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/nodejs/bin/node", "/app/dist/process/health-check.js"]
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "--no-allocation-site-pretenuring", "/app/dist/main.js"]
CMD ["run"]
