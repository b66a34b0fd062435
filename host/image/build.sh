#!/usr/bin/env bash
# From a build of the preset image, as root: usage: host/image/build.sh WHAT BUILD UID
#
#   rootfs      BUILD/rootfs/, the root file system, and its bill of materials BUILD/sbom.spdx.json
#   relay-only  BUILD/relay-only/, Fossil and the relay alone, and BUILD/relay-only.spdx.json
#   image       rootfs, and BUILD/exthost.oci.tar of it: the last stage of the Dockerfile
#
# The Dockerfile calls the first two, `make image` the last. The same tree and the same Debian
# packages give the same bytes: every time is SOURCE_DATE_EPOCH, else that of the last commit, else
# 1980.
set -eu
umask 022
export LC_ALL=C TZ=UTC

what=$1
build=$(realpath "$2")
uid=$3
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}

if [ "$(id -u)" -ne 0 ]; then
	exec sudo --preserve-env=SOURCE_DATE_EPOCH "$0" "$@"
fi

# make_root ROOT BILL COMPONENT...
make_root() {
	local root=$1 bill=$2
	shift 2
	rm -rf "$root"
	mkdir -p "$root"/usr/{bin,lib,lib64} \
		"$root"/{dev,proc,sys,run,etc,museum,log,tmp,ext,run/exthost}
	ln -s usr/bin usr/lib usr/lib64 "$root"
	# Scripts written where `make install` was name the relay there.
	mkdir "$root/usr/local"
	ln -s ../bin "$root/usr/local"
	for component in "$@"; do
		DESTDIR=$root cmake --install "$build" --component "$component" --strip \
			>"$build/install-$component.log"
	done
	# A program names its loader itself, if it needs one.
	loader=$(readelf -p .interp "$root"/usr/bin/* 2>/dev/null |
		sed -n 's,^.*\] *\(/.*\)$,\1,p' | head -n 1)
	if [ -n "$loader" ] && [ ! -e "$root$loader" ]; then
		ln -s "/usr/lib/$(gcc -print-multiarch)/${loader##*/}" "$root$loader"
	fi
	/usr/bin/python3 -IB host/image/zones.py "$root/usr/share/zoneinfo"
	/usr/bin/python3 -IB host/image/sbom.py "$root" "$build" "$epoch" "$bill"
	set_modes "$root"
	find "$root" -depth -exec touch -h -d "@$epoch" {} +
}

# The programs; of all else only the loader must be executable, or the kernel would start nothing.
set_modes() {
	local root=$1
	find "$root" -type f -exec chmod 0644 {} +
	find -L "$root/usr/bin" "$root/usr/lib/$(gcc -print-multiarch)"/ld-linux* -type f \
		-exec chmod 0755 {} +
	find "$root" -type d -exec chmod 0755 {} +
	chmod 1777 "$root/tmp"
	chmod 0750 "$root/museum"
	chown -hR 0:0 "$root"
	chown "$uid:$uid" "$root"/{museum,log,run/exthost}
}

# The Dockerfile's last stage with a root file system that is there already: no network is needed.
make_image() {
	local store=(buildah --root "$build/store" --runroot "$build/store-run" --storage-driver vfs)

	if ! command -v buildah >/dev/null || ! command -v zstd >/dev/null; then
		echo "installing: buildah zstd"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			buildah zstd >/dev/null
	fi
	tar --create --file "$build/rootfs.tar" --directory "$build/rootfs" --sort=name --format=gnu \
		--numeric-owner .
	sed -n '/^FROM scratch AS exthost$/,$ { s,^COPY .*,ADD rootfs.tar /,; /HEALTHCHECK/d; p }' \
		Dockerfile >"$build/Dockerfile"
	rm -rf "$build/store" "$build/store-run" "$build/oci"
	"${store[@]}" bud -q --isolation chroot --timestamp "$epoch" --build-arg "UID=$uid" \
		--format oci \
		--tag exthost -f "$build/Dockerfile" "$build" >/dev/null
	"${store[@]}" push -q exthost "oci:$build/oci:exthost"
	rm -rf "$build/store" "$build/store-run"
	/usr/bin/python3 -IB host/image/oci.py "$build/oci" "$build/exthost.oci.tar" "$epoch"
	rm -rf "$build/oci" "$build/rootfs.tar" "$build/Dockerfile"
}

case $what in
relay-only)
	make_root "$build/relay-only" "$build/relay-only.spdx.json" relay fossil
	;;
rootfs | image)
	make_root "$build/rootfs" "$build/sbom.spdx.json" program fossil image
	;;
esac
if [ "$what" = image ]; then
	make_image
	du -sk --apparent-size "$build/rootfs" | awk '{ printf "root file system %.1f MB", $1 / 1024 }'
	stat -c %s "$build/exthost.oci.tar" | awk '{ printf ", image %.1f MB\n", $1 / 1048576 }'
fi
