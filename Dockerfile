# One image for all parts: Node, iptables and our bundles. docker buildx build --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM node:26-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN node build.ts && echo '{"type":"module"}' >dist/package.json

FROM node:26-trixie-slim AS node

# Only what the programs load: the loader and libraries of node and iptables, found by ldd, and no shell.
FROM debian:trixie-slim AS files
RUN apt-get update && apt-get install -y --no-install-recommends iptables libatomic1 libstdc++6 \
  && rm -rf /var/lib/apt/lists/*
COPY --from=node /usr/local/bin/node /usr/local/bin/node
RUN set -eu; mkdir -p /root-fs/tmp /root-fs/etc; chmod 1777 /root-fs/tmp; \
  programs="/usr/local/bin/node /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi"; \
  cp --parents $programs /root-fs; \
  for name in iptables ip6tables iptables-save ip6tables-save iptables-restore ip6tables-restore; do \
    ln -s xtables-nft-multi "/root-fs/usr/sbin/$name"; \
    ln -s xtables-legacy-multi "/root-fs/usr/sbin/$(echo "$name" | sed 's/tables/tables-legacy/')"; \
  done; \
  for path in $(ldd $programs /usr/lib/*/xtables/*.so | grep -o '/[^ ]*' | grep -v ':$' | sort -u); do \
    mkdir -p "/root-fs$(dirname "$path")"; cp -Ln "$path" "/root-fs$path"; \
  done; \
  cp -R --parents /usr/lib/*/xtables /root-fs; \
  printf 'proxy:x:1337:1337::/:/sbin/nologin\n' >/root-fs/etc/passwd; \
  printf 'proxy:x:1337:\n' >/root-fs/etc/group

FROM scratch
COPY --from=files /root-fs /
COPY --from=build /src/dist /app
ENV PATH=/usr/local/bin:/usr/sbin
USER 1337:1337
