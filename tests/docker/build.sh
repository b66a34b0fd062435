#!/usr/bin/env bash
# Build both targets of the Dockerfile, as root: usage: tests/docker/build.sh DIRECTORY
# The images are exthost and exthost-relay in DIRECTORY/store. The storage driver (overlay is fast,
# vfs works everywhere) is named in DIRECTORY/driver. The Dockerfile's base image is made here, from
# the packages that this machine's apt finds and, like the real base image, without manuals;
# DIRECTORY/base.tar keeps it for the next build.
set -eu
export LC_ALL=C
umask 022

if [ "$(id -u)" -ne 0 ]; then
	exec sudo "$0" "$@"
fi
mkdir -p "$1"
folder=$(realpath "$1")

install_tools() {
	local missing=()
	for package in buildah podman crun debootstrap; do
		[ -n "$(dpkg-query -W -f '${Version}' $package 2>/dev/null)" ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "installing: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		"${missing[@]}" >/dev/null
}

choose_store() {
	rm -rf "$folder/store" "$folder/run"
	for driver in overlay vfs; do
		store=(buildah --root "$folder/store" --runroot "$folder/run" --storage-driver "$driver")
		if container=$("${store[@]}" from scratch 2>/dev/null) &&
			"${store[@]}" mount "$container" >/dev/null 2>&1; then
			echo "$driver" >"$folder/driver"
			break
		fi
		rm -rf "$folder/store" "$folder/run"
	done
}

make_base() {
	local root=$folder/base
	apt-get update -qq
	# shellcheck disable=SC2016 # apt-get puts its own values in
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' >"$folder/sources.list"
	rm -rf "$root"
	debootstrap --variant=minbase bookworm "$root" \
		"$(awk 'NR == 1 { print $2 }' "$folder/sources.list")" \
		>"$folder/base.log"
	# What is installed there comes from where this machine has its packages.
	mv "$folder/sources.list" "$root/etc/apt/sources.list"
	apt-config dump | grep '^Acquire' >"$root/etc/apt/apt.conf.d/30acquire"
	printf '%s\n' 'path-exclude /usr/share/man/*' 'path-exclude /usr/share/doc/*' \
		'path-include /usr/share/doc/*/copyright' >"$root/etc/dpkg/dpkg.cfg.d/docker"
	find "$root/var/cache/apt" "$root/var/lib/apt/lists" -type f -delete
	tar --create --file "$folder/base.tar.new" --directory "$root" --numeric-owner .
	mv "$folder/base.tar.new" "$folder/base.tar"
	rm -rf "$root"
}

store_base() {
	"${store[@]}" add -q "$container" "$folder/base.tar" / >/dev/null
	"${store[@]}" config --cmd bash \
		--env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		"$container"
	"${store[@]}" commit -q --rm "$container" docker.io/library/debian:bookworm-slim >/dev/null
}

# build TAG ARGUMENT...
build() {
	local tag=$1
	shift
	echo "building: $tag"
	"${store[@]}" bud --layers --isolation chroot --pull-never --format docker --tag "$tag" "$@" . \
		>"$folder/$tag.log" 2>&1 ||
		{ tail -n 30 "$folder/$tag.log"; exit 1; }
}

install_tools
choose_store
[ -f "$folder/base.tar" ] || make_base
store_base
build exthost
build exthost-relay --target relay-only
