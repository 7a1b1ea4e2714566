# MindGlue as a container: built with every dependency, shipped with those it runs on.
ARG NODE_VERSION=24

FROM node:${NODE_VERSION}-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY migrations ./migrations
COPY assets ./assets
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:${NODE_VERSION}-slim
LABEL io.modelcontextprotocol.server.name="io.github.mindglue/mindglue" \
      org.opencontainers.image.title="MindGlue" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/mindglue/mindglue"
ENV NODE_ENV=production \
    MINDGLUE_DATA_DIR=/var/lib/mindglue/data \
    MINDGLUE_KEY_DIR=/var/lib/mindglue/keys
WORKDIR /app
RUN install -d -o node -g node -m 700 /var/lib/mindglue /var/lib/mindglue/data /var/lib/mindglue/keys
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/migrations ./migrations
COPY --from=build /app/assets ./assets
COPY --from=build /app/dist ./dist
COPY LICENSE NOTICE ./
COPY examples/compose-secrets.mjs ./examples/compose-secrets.mjs
USER node
EXPOSE 7337
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7338/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains: not ready, finish what runs, close, exit 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]
