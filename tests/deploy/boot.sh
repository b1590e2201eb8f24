#!/usr/bin/env bash
# boot.sh FOLDER - a machine of its own in a folder: systemd as its first process, /usr of this one, all else new.
#
# Run as root in new namespaces (unshare -m -p -u -i -C). The network is this machine's, so that what listens on the
# loopback is reached. Nothing outside the folder is written.
set -euo pipefail
root=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root"/{usr,etc,var/lib,var/cache,var/log,opt,run,tmp,proc,sys,dev,root,home,outer}
chmod 1777 "$root/tmp"
for link in bin lib lib64 sbin; do [ ! -L "/$link" ] || cp -a "/$link" "$root/$link"; done
bind() { mount --bind "$1" "$2"; mount -o remount,ro,bind "$2"; }
bind /usr "$root/usr"
mount -t proc proc "$root/proc"
bind "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
mkdir "$root"/dev/{shm,pts}
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
cp -a /etc/. "$root/etc/"
rm -rf "$root"/etc/{systemd/system,machine-id,fstab,lorelint}
mkdir -p "$root/etc/systemd/system"
: >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/default.target" <<'UNIT'
[Unit]
Description=As far as a test needs it
DefaultDependencies=no
Wants=systemd-journald.service systemd-journald.socket
UNIT
cd "$root"
pivot_root . outer
umount -l /outer
mount --make-rshared / # as a machine has it: what systemd mounts for a unit is handed on to it
hostname lorelint-test
exec env -i container=lorelint-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=default.target --log-target=console --show-status=no
