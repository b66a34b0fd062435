#!/bin/sh
# Install what runs containers. Where that fails, the tests of the image do without.
set -u
root=
[ "$(id -u)" -eq 0 ] || root=sudo
echo "installing: podman crun"
$root apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -qq --no-install-recommends podman crun >/dev/null || true
