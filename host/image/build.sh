#!/usr/bin/env bash
# From a build of the preset image: usage: host/image/build.sh BUILD UID
# It leaves BUILD/rootfs/, BUILD/exthost.oci.tar and BUILD/sbom.spdx.json. The same tree and the same
# Debian packages give the same bytes: every time is SOURCE_DATE_EPOCH, else that of the last commit.
set -eu
umask 022
export LC_ALL=C TZ=UTC

tree=$PWD
build=$(realpath "$1")
uid=$2
root=$build/rootfs
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}

if [ "$(id -u)" -ne 0 ]; then
	exec sudo --preserve-env=SOURCE_DATE_EPOCH "$0" "$@"
fi
if ! command -v buildah >/dev/null || ! command -v zstd >/dev/null; then
	echo "installing: buildah zstd"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah zstd >/dev/null
fi

install_files() {
	rm -rf "$root"
	mkdir -p "$root"/usr/{bin,lib,lib64} "$root"/{dev,proc,sys,run,etc,museum,log,tmp,ext,run/exthost}
	ln -s usr/bin usr/lib usr/lib64 "$root"
	for component in program image; do
		DESTDIR=$root cmake --install "$build" --component $component --strip >"$build/install-$component.log"
	done
	# The program names its loader itself.
	loader=$(readelf -p .interp "$root/usr/bin/exthost" | sed -n 's,^.*\] *\(/.*\)$,\1,p')
	[ -e "$root$loader" ] || ln -s "/usr/lib/$(gcc -print-multiarch)/${loader##*/}" "$root$loader"
}

# Three programs; of all else only the loader must be executable, or the kernel would start nothing.
set_modes() {
	find "$root" -type f -exec chmod 0644 {} +
	chmod 0755 "$root"/usr/bin/{fossil,exthost,exthost-cgi} "$(realpath "$root/usr/lib/$(gcc -print-multiarch)"/ld-linux*)"
	find "$root" -type d -exec chmod 0755 {} +
	chmod 1777 "$root/tmp"
	chmod 0750 "$root/museum"
	chown -hR 0:0 "$root"
	chown "$uid:$uid" "$root"/{museum,log,run/exthost}
}

make_image() {
	local store=(buildah --root "$build/store" --runroot "$build/store-run" --storage-driver vfs)

	find "$root" -depth -exec touch -h -d "@$epoch" {} +
	tar --create --file "$build/rootfs.tar" --directory "$root" --sort=name --format=gnu --numeric-owner .
	rm -rf "$build/store" "$build/store-run" "$build/oci"
	"${store[@]}" bud -q --isolation chroot --timestamp "$epoch" --build-arg "UID=$uid" --format oci \
		--tag exthost -f "$tree/Dockerfile" "$build" >/dev/null
	"${store[@]}" push -q exthost "oci:$build/oci:exthost"
	rm -rf "$build/store" "$build/store-run"
	/usr/bin/python3 -IB "$tree/host/image/oci.py" "$build/oci" "$build/exthost.oci.tar" "$epoch"
	rm -rf "$build/oci" "$build/rootfs.tar"
}

install_files
/usr/bin/python3 -IB host/image/sbom.py "$root" "$build" "$epoch"
set_modes
make_image
du -sk --apparent-size "$root" | awk '{ printf "root file system %.1f MB", $1 / 1024 }'
stat -c %s "$build/exthost.oci.tar" | awk '{ printf ", image %.1f MB\n", $1 / 1048576 }'
