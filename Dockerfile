# Two images with no shell, no package manager and no interpreter's program on disk:
#
#   docker build -t exthost .                              Fossil, exthost and the relay
#   docker build -t exthost-relay --target relay-only .    Fossil and the relay, and no interpreter at all
#
# Both have the same user (UID=499) and directories: /museum, /ext, and /run/exthost for the socket.
# `make image` makes the last stage with no network, the same each time: host/image/build.sh.

FROM debian:bookworm-slim AS build
WORKDIR /exthost
COPY .ci/deps .ci/deps
RUN .ci/deps image
COPY . .
ARG UID=499
ARG SOURCE_DATE_EPOCH=315532800
RUN cmake --preset image -DEXTHOST_IMAGE_UID="$UID" \
	&& cmake --build --preset image \
	&& host/image/build.sh rootfs build/image "$UID" \
	&& host/image/build.sh relay-only build/image "$UID"

# Fossil, as the first process of a container, takes no notice of SIGTERM; SQLite takes SIGKILL well.
FROM scratch AS relay-only
ARG UID=499
COPY --from=build /exthost/build/image/relay-only/ /
USER ${UID}:${UID}
WORKDIR /museum
ENV HOME=/museum USER=fossil
EXPOSE 8080
STOPSIGNAL SIGKILL
ENTRYPOINT ["/usr/bin/fossil", "server"]
CMD ["--create", "--jsmode", "bundled", "--user", "admin", "--port", "8080", "--extroot", "/ext", \
	"/museum/repo.fossil"]

FROM scratch AS exthost
ARG UID=499
COPY --from=build /exthost/build/image/rootfs/ /
USER ${UID}:${UID}
WORKDIR /museum
ENV HOME=/museum USER=fossil
EXPOSE 8080
# The OCI format has no place for it, Docker's has.
HEALTHCHECK CMD ["/usr/bin/exthost", "status", "--check"]
ENTRYPOINT ["/usr/bin/exthost", "serve"]
CMD ["--config", "/etc/exthost.conf"]
