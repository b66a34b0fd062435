# Two images with no shell, no package manager and no interpreter on disk, built by any container engine:
#
#   docker build -t exthost .                                   Fossil, exthost and the relay
#   docker build -t exthost-relay --target relay-only .         Fossil and the relay, and no interpreter
#
# Both have the same users, folders and mounts: /museum, /ext read-only, /run/exthost for the socket.
# UID= is the user that both run as. `make image` makes the last stage with no network, and the same
# bit for bit each time: host/image/build.sh.

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

# Fossil, as the first process of a container, takes no notice of SIGTERM; its database takes SIGKILL well.
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
