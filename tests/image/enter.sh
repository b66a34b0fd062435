#!/bin/sh
# Become a program in a root file system, in namespaces of its own for mounts and processes:
#   unshare -mpf enter.sh ROOT UID FOLDER MOUNT... -- PROGRAM ARGUMENT...
# The root is read-only, /tmp is empty and starts nothing; a MOUNT is SOURCE:TARGET or SOURCE:TARGET:ro.
set -e
root=$1 uid=$2 folder=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
	source=${1%%:*} rest=${1#*:}
	target=${rest%%:*}
	mount --bind "$source" "$root$target"
	case $rest in
	*:ro) mount -o remount,bind,ro "$root$target" ;;
	esac
	shift
done
shift
export HOME=/museum USER=fossil
exec chroot --userspec="$uid:$uid" "$root" "$@"
