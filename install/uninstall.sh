#!/usr/bin/env bash
# uninstall.sh - takes back what install.sh did to this machine.
#
#   uninstall.sh [--keep-data] [--keep-packages] [--dry-run]
#
#   --keep-data       keep the cluster's state (the data directory) and the images; a member of the etcd
#                     stays one: `install.sh --server` starts it again with what it has
#   --keep-packages   keep the packages that install.sh brought; else those go that nothing else needs
#   --dry-run         say each thing that would be done, and do none of it
set -euo pipefail
# Root by plain `su` has the caller's, without the administrator's programs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
etc=/etc/bramble lib=/usr/local/lib/bramble bin=/usr/local/bin/bramble init=/etc/init.d/bramble run=/run/bramble-service
die() { printf 'uninstall.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }
act() {
  local words=$1; shift
  if [ -n "$dry" ]; then say "would $words"; return 0; fi
  say "==> $words"
  "$@"
}

keep='' packages=1 dry=''
for word in "$@"; do
  case $word in
    --keep-data) keep=1 ;;
    --keep-packages) packages='' ;;
    --dry-run) dry=1 ;;
    -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) die "unknown option $word (see --help)" ;;
  esac
done
[ -n "$dry" ] || [ "$(id -u)" = 0 ] || die "needs root (sudo), or --dry-run"
if [ ! -e $etc/installed ]; then say "bramble is not installed here"; exit 0; fi

noted() { sed -n "s/^$1 //p" $etc/installed; }
systemd() { [ -d /run/systemd/system ]; }
setting_of() { sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" $etc/config.yaml 2>/dev/null | tail -1; }
data=$(setting_of data-dir) data=${data:-/var/lib/bramble}
socket=$(setting_of containerd-address) socket=${socket:-/run/containerd/containerd.sock}
namespace=$(setting_of containerd-namespace) namespace=${namespace:-bramble}
answers() { ctr --address "$socket" version >/dev/null 2>&1; }

stop_service() {
  if systemd; then
    systemctl disable --quiet --now bramble.service 2>/dev/null || true
  elif [ -x $init ]; then
    $init stop
    ! command -v update-rc.d >/dev/null || update-rc.d -f bramble remove
  fi
}
remove_cluster() {
  if ! answers && systemd; then systemctl start containerd.service; fi
  "$bin" delete --data-dir "$data" ${keep:+--keep-data} >/dev/null
  # Its content went with its images; empty, the name can go.
  [ -n "$keep" ] || ctr --address "$socket" namespaces remove "$namespace" >/dev/null 2>&1 || true
}
leave_etcd() { [ ! -x $lib/etcd.sh ] || $lib/etcd.sh leave || true; }
keep_member() { # the others let it in again by the authority that signed for them
  install -d -m 700 /var/lib/bramble-etcd/kept
  install -m 600 $etc/etcd/ca.crt $etc/etcd/ca.key /var/lib/bramble-etcd/kept/
}
stop_own_containerd() { # that of the init script
  local pid
  pid=$(cat $run/containerd.pid 2>/dev/null) || { rm -rf $run; return 0; }
  kill "$pid" 2>/dev/null || true
  for ((i = 0; i < 100; i++)); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
  rm -rf $run /var/log/containerd.log
}
restore_file() { # $1
  rm -f "$1"
  if [ -e "$etc/before$1" ]; then cp -a "$etc/before$1" "$1"; fi
}
purge_packages() {
  local all
  all=$(noted package)
  # One that something else needs by now stays, as dpkg says.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive dpkg --purge $all >/dev/null 2>"$log" || grep -E '^dpkg: |^ .* depends' "$log" || true
  if echo "$all" | grep -qx containerd && ! command -v containerd >/dev/null; then
    rm -rf /var/lib/containerd /run/containerd /etc/containerd /opt/containerd
  fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
act "stop bramble" stop_service
if [ -e "$data/instance.json" ] || [ -d "$data" ]; then
  act "remove its containers, rules, routes and mounts${keep:+, and keep $data}" remove_cluster
fi
if [ -e $etc/etcd/etcd.env ]; then
  if [ -z "$keep" ]; then act "take this machine's member out of the etcd" leave_etcd
  else act "keep what this machine's member of the etcd needs to start again" keep_member; fi
fi
systemd || act "stop containerd if it was started for bramble" stop_own_containerd
while read -r key value; do
  [ -n "$key" ] || continue
  act "set $key back to $value" sh -c "echo $value >/proc/sys/$(echo "$key" | tr . /)" || true
done < <(noted sysctl)
# `ip netns` keeps this folder mounted though nothing is in it.
if noted made | grep -qx /run/netns && [ -z "$(ls -A /run/netns 2>/dev/null)" ]; then
  act "unmount /run/netns" sh -c 'umount /run/netns 2>/dev/null; rmdir /run/netns 2>/dev/null' || true
fi
for module in $(noted module | tac); do
  act "unload the kernel module $module" modprobe -r -q "$module" || say "    it is in use and stays until the next start"
done
for unit in $(noted started); do act "stop $unit" systemctl stop "$unit"; done
for unit in $(noted enabled); do act "do not start $unit with the machine" systemctl disable --quiet "$unit"; done
if [ -d /var/lib/bramble-etcd ] && [ -z "$keep" ]; then
  act "remove /var/lib/bramble-etcd with its snapshots" rm -rf /var/lib/bramble-etcd \
    /var/lib/systemd/timers/stamp-bramble-etcd-snapshot.timer
fi
while read -r file; do
  [ -z "$file" ] || act "$([ -e "$etc/before$file" ] && echo "put back" || echo remove) $file" restore_file "$file"
done < <(noted file | tac)
# `bramble upgrade` keeps the program that it replaced here.
[ ! -e $lib/bramble.previous ] || act "remove $lib/bramble.previous" rm -f $lib/bramble.previous
while read -r dir; do
  [ ! -d "$dir" ] || act "remove the folder $dir" rmdir --ignore-fail-on-non-empty "$dir"
done < <(noted dir | tac)
if systemd; then
  act "read units again" systemctl daemon-reload
  [ -n "$dry" ] || systemctl reset-failed bramble.service 2>/dev/null || true
fi
if [ -n "$packages" ] && [ -n "$(noted package)" ]; then
  act "remove the packages $(noted package | tr '\n' ' ')" purge_packages
fi
act "remove $etc" rm -rf $etc
[ -n "$dry" ] || rm -f /var/log/bramble.log /var/log/bramble.log.1
say "bramble is gone${keep:+; its data is in $data}"
