#!/bin/sh
# Become a program in a root file system, in namespaces of its own for mounts and processes:
#   unshare -mpf enter.sh ROOT UID DIRECTORY MOUNT... -- PROGRAM ARGUMENT...
# The root is read-only; /tmp is empty and mounted noexec. A MOUNT is SOURCE:TARGET,
# SOURCE:TARGET:ro, SOURCE:TARGET:noexec, or tmpfs:TARGET. DIRECTORY is ignored: the program starts
# in /.
set -e
root=$1 uid=$2
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
[ ! -d "$root/dev/shm" ] || mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do
	source=${1%%:*} rest=${1#*:}
	target=${rest%%:*}
	if [ "$source" = tmpfs ]; then
		mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root$target"
	else
		mount --bind "$source" "$root$target"
	fi
	case $rest in
	*:ro) mount -o remount,bind,ro "$root$target" ;;
	*:noexec) mount -o remount,bind,noexec,nosuid,nodev "$root$target" ;;
	esac
	shift
done
shift
export HOME=/museum USER=fossil
drop=
# With the three that chroot needs to become another user; those go with the user.
[ "$uid" -eq 0 ] ||
	drop="setpriv --no-new-privs --bounding-set -all,+setgid,+setuid,+sys_chroot --inh-caps -all"
exec $drop chroot --userspec="$uid:$uid" "$root" "$@"
