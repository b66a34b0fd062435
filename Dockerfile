# The image that `make image` builds: one layer, the root file system. It needs no network.
FROM scratch
ARG UID=499
ADD rootfs.tar /
USER ${UID}:${UID}
WORKDIR /museum
ENV HOME=/museum USER=fossil
EXPOSE 8080
# The OCI format has no place for it, Docker's has.
HEALTHCHECK CMD ["/usr/bin/exthost", "status", "--check"]
ENTRYPOINT ["/usr/bin/exthost", "serve"]
CMD ["--config", "/etc/exthost.conf"]
