# The service with nothing that it does not need to run. What is built here is what `npm ci && npm run build` makes.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# without scripts, of which one builds what is not there yet: a change of the sources installs nothing again
RUN npm ci --ignore-scripts
COPY tsconfig.json nest-cli.json .swcrc ./
COPY .ci/bundle.mjs ./.ci/
COPY src ./src
# the image brings a Node of its own
RUN npm rebuild && npm run build && npm prune --omit=dev && rm -rf node_modules/node node_modules/.bin/node

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production MAILFOLD_HOST=0.0.0.0 MAILFOLD_DATA=/data
RUN install --directory --owner=node --group=node --mode=0700 /data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:4000/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=8", "--heap-growing-percent=20", "dist/bundle/main.js"]
CMD ["start"]
