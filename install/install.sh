#!/usr/bin/env bash
# install.sh - makes this machine a node of a bramble cluster, as a service that starts with it.
#
#   install.sh --server [options]              this machine holds the cluster, and runs pods
#   install.sh --agent [--token T] [options]   this machine joins one
#   install.sh                                 neither: what is installed is brought up to date
#
#   --token T         agent: the token to join with; server: one that devices may join with
#   --url URL         agent: its server, as https://ADDRESS:6443   (default: found by mDNS)
#   --set KEY=VALUE   a setting, as `bramble server --help` names it without dashes; may be repeated
#   --etcd            server: the first of several, on an etcd of three members; more on each board by
#   --etcd-join FILE  server: the etcd of the server that FILE, its /etc/bramble/etcd/join, is from
#   --etcd-replace N  with it: in the place of the member N, which is dead
#   --no-start        install, but start nothing
#   --dry-run         say each thing that would be done, and do none of it
#
# Debian, Raspberry Pi OS or Ubuntu, amd64 or arm64, with systemd or without. Run it again at any
# time: it does what is missing. From a bundle (bundle.sh) it needs no network; from a clone it
# builds. What it changes is noted in /etc/bramble/installed, and uninstall.sh takes it back.
set -euo pipefail
# Root by plain `su` has the caller's, without the administrator's programs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
here=$(dirname "$(readlink -f "$0")")
etc=/etc/bramble lib=/usr/local/lib/bramble bin=/usr/local/bin/bramble
unit=/etc/systemd/system/bramble.service init=/etc/init.d/bramble
modules=(overlay br_netfilter nf_conntrack vxlan)
sysctls=(net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables
  net.ipv6.conf.all.forwarding net.ipv4.conf.all.route_localnet net.ipv4.tcp_migrate_req)

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }
# What is done, in words and as a command: `act "load the module X" modprobe X`.
act() {
  local words=$1; shift
  if [ -n "$dry" ]; then say "would $words"; return 0; fi
  say "==> $words"
  "$@"
}

role='' token='' url='' start=1 dry='' settings=() etcd='' etcd_join='' etcd_replace=''
while [ $# -gt 0 ]; do
  case $1 in
    --server | --agent) [ -z "$role" ] || die "--server or --agent, not both"; role=${1#--}; shift; continue ;;
    --no-start) start=''; shift; continue ;;
    --etcd) etcd=1; shift; continue ;;
    --dry-run) dry=1; shift; continue ;;
    -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --token | --url | --set | --etcd-join | --etcd-replace) [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "unknown option $1 (see --help)" ;;
  esac
  case $1 in
    --token) token=$2 ;;
    --url) url=$2 ;;
    --etcd-join) etcd=1 etcd_join=$2 ;;
    --etcd-replace) etcd_replace=$2 ;;
    --set) case $2 in ?*=*) settings+=("$2") ;; *) die "--set $2: must be KEY=VALUE" ;; esac ;;
  esac
  shift 2
done

systemd() { [ -d /run/systemd/system ]; }
[ -n "$role" ] || role=$(sed -n 's/^role //p' $etc/installed 2>/dev/null || true)
[ -n "$role" ] || die "say what this machine is to be: --server or --agent"
before=$(sed -n 's/^role //p' $etc/installed 2>/dev/null || true)
[ -z "$before" ] || [ "$before" = "$role" ] || die "this machine is a bramble $before; uninstall.sh first"
[ "$role" = agent ] || [ -z "$url" ] || die "--url is for an agent"
[ "$role" = server ] || [ -z "$etcd" ] || die "--etcd is for a server"
[ -n "$etcd_join" ] || [ -z "$etcd_replace" ] || die "--etcd-replace goes with --etcd-join"
# A member that is installed, or that was kept by `uninstall.sh --keep-data`.
[ ! -e $etc/etcd/etcd.env ] || etcd=1
[ "$role" = agent ] || [ ! -e /var/lib/bramble-etcd/kept ] || etcd=1
[ -n "$dry" ] || [ "$(id -u)" = 0 ] || die "needs root (sudo), or --dry-run"
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) die "no bramble for $(uname -m): it needs a 64-bit x86 or ARM machine" ;;
esac
if command -v dpkg >/dev/null && [ "$(dpkg --print-architecture)" != $arch ]; then
  die "this system's programs are $(dpkg --print-architecture) on a $arch kernel: install a 64-bit system"
fi

# --- notes for uninstall.sh ---------------------------------------------------------------------
note() { # once each
  [ -z "$dry" ] || return 0
  grep -qxF -- "$*" $etc/installed 2>/dev/null || printf '%s\n' "$*" >>$etc/installed
}
make_dir() {
  [ ! -d "$1" ] || return 0
  act "make the folder $1" mkdir -m "${2:-755}" "$1"
  note "dir $1"
}
# Puts a file in place, whole or not at all. $1 from, $2 to, $3 mode
put() {
  if cmp -s "$1" "$2"; then return 1; fi
  act "write $2" put_now "$@"
}
put_now() {
  if [ -e "$2" ]; then
    grep -qxF "file $2" $etc/installed || { mkdir -p "$etc/before$(dirname "$2")"; cp -a "$2" "$etc/before$2"; }
  fi
  install -m "$3" "$1" "$2.new"
  sync "$2.new"
  mv -f "$2.new" "$2"
  note "file $2"
}

# --- programs that Debian has -------------------------------------------------------------------
packages() { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 2>/dev/null | sed -n 's/^ii *//p' | sort; }
missing_packages() {
  local pair
  for pair in containerd:containerd runc:runc iptables:iptables ip:iproute2 conntrack:conntrack modprobe:kmod \
    mount:mount nsenter:util-linux; do
    command -v "${pair%%:*}" >/dev/null || printf '%s ' "${pair##*:}"
  done
  [ -z "$etcd" ] || command -v openssl >/dev/null || printf 'openssl '
  [ -x /usr/lib/cni/bridge ] || [ -x "$here/cni/bridge" ] || [ -x $lib/cni/bridge ] || printf containernetworking-plugins
}
install_debs() { # those of the bundle that are not there
  local deb name want=()
  for deb in "$here"/debs/*.deb; do
    name=$(dpkg-deb --field "$deb" Package)
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || want+=("$deb")
  done
  [ ${#want[@]} = 0 ] || DEBIAN_FRONTEND=noninteractive dpkg --install "${want[@]}" >/dev/null
}
install_by_apt() {
  export DEBIAN_FRONTEND=noninteractive
  local words
  apt-get update -qq
  # Its many words are shown only where it fails.
  words=$(apt-get install -y -qq --no-install-recommends "$@" 2>&1) || die "apt-get install $*: $words"
}
install_packages() {
  local want had p
  read -ra want <<<"$(missing_packages)"
  [ ${#want[@]} -gt 0 ] || return 0
  had=$(packages)
  if compgen -G "$here/debs/*.deb" >/dev/null; then
    act "install ${want[*]} from the bundle" install_debs
  else
    command -v apt-get >/dev/null || die "missing: ${want[*]} (install them; there is no apt-get here)"
    act "install the packages ${want[*]}" install_by_apt "${want[@]}"
  fi
  [ -z "$dry" ] || return 0
  for p in $(comm -13 <(echo "$had") <(packages)); do note "package $p"; done
  read -ra want <<<"$(missing_packages)"
  [ ${#want[@]} = 0 ] || die "still missing: ${want[*]}"
}

# --- programs of our own ------------------------------------------------------------------------
new_enough() { # $1 nerdctl
  local v
  v=$("$1" --version 2>/dev/null | sed -n 's/.* \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || return 1
  # shellcheck disable=SC2086
  set -- $v
  [ $# = 2 ] && { [ "$1" -ge 2 ] || { [ "$1" = 1 ] && [ "$2" -ge 7 ]; }; }
}
build_nerdctl() { "$here/nerdctl.sh" --to $lib/nerdctl; note "file $lib/nerdctl"; }
install_nerdctl() {
  if [ -x "$here/nerdctl" ] && [ ! -d "$here/nerdctl" ]; then
    put "$here/nerdctl" $lib/nerdctl 755 || true
  elif ! new_enough "$(command -v nerdctl || echo $lib/nerdctl)" && ! new_enough $lib/nerdctl; then
    [ -x "$here/nerdctl.sh" ] || die "nerdctl is missing: bring version 1.7 or newer"
    act "bring nerdctl to $lib" build_nerdctl
  fi
  # An older one on the PATH is its owner's; ours is named to bramble by its path.
  new_enough "$(command -v nerdctl || echo none)" || settings=("nerdctl=$lib/nerdctl" "${settings[@]}")
}
install_cni() {
  local plugin
  [ -d "$here/cni" ] && [ ! -x /usr/lib/cni/bridge ] || return 0
  make_dir $lib/cni
  for plugin in "$here"/cni/*; do put "$plugin" "$lib/cni/$(basename "$plugin")" 755 || true; done
  settings=("cni-bin-dir=$lib/cni" "${settings[@]}")
}
build_bramble() {
  if ! command -v bun >/dev/null; then
    command -v npm >/dev/null || install_by_apt npm
    npm install --global --silent "bun@$(sed -n 's/.*"@types\/bun": "\(.*\)".*/\1/p' package.json)" >/dev/null
  fi
  bun install --frozen-lockfile --silent
  bun run --silent build >/dev/null
}
arch_of() { # $1 a program: e_machine of its ELF header (elf(5)); what is none is for any machine
  case $(od -An -tu2 -j18 -N2 "$1" | tr -d ' ') in 62) echo amd64 ;; 183) echo arm64 ;; *) echo $arch ;; esac
}
find_bramble() { # sets $new
  if [ -x "$here/bramble" ]; then
    new=$here/bramble
    [ "$(arch_of "$new")" = $arch ] ||
      die "this bundle is for $(arch_of "$new"), and this machine is $arch: bring one of bundle.sh --arch $arch"
    return
  fi
  cd "$here/.."
  new=$PWD/dist/bramble
  if [ ! -x "$new" ] || [ -n "$(find src agents tools package.json bun.lock -newer "$new" -print -quit 2>/dev/null)" ]; then
    act "build bramble" build_bramble
  fi
  [ -n "$dry" ] || "$new" --version >/dev/null || die "$new does not run on this machine"
}

# --- settings -----------------------------------------------------------------------------------
set_now() { # $1 key, $2 value: one line of the file, the others as they are
  local value=${2//\\/\\\\}
  umask 077
  { grep -v "^$1:" $etc/config.yaml 2>/dev/null || true; printf '%s: "%s"\n' "$1" "${value//\"/\\\"}"; } >$etc/config.yaml.new
  umask 022
  mv -f $etc/config.yaml.new $etc/config.yaml
}
setting_of() { sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" $etc/config.yaml 2>/dev/null | tail -1; }
write_settings() { # answers whether anything changed
  local pair changed=1
  note "file $etc/config.yaml"
  for pair in "${settings[@]}"; do
    [ "$(setting_of "${pair%%=*}")" != "${pair#*=}" ] || continue
    changed=0
    act "set ${pair%%=*} in $etc/config.yaml" set_now "${pair%%=*}" "${pair#*=}"
  done
  if [ -z "$dry" ] && [ ! -e $etc/config.yaml ]; then install -m 600 /dev/null $etc/config.yaml; fi
  return $changed
}

# --- the kernel ---------------------------------------------------------------------------------
note_sysctls() { # as they are now; bramble turns them on
  local key path
  [ -z "$dry" ] || return 0
  for key in "${sysctls[@]}"; do
    path=/proc/sys/$(echo "$key" | tr . /)
    grep -q "^sysctl $key " $etc/installed || [ ! -r "$path" ] || note "sysctl $key $(cat "$path")"
  done
}
load_modules() {
  local m list
  [ -d /run/netns ] || note "made /run/netns"
  note_sysctls
  for m in "${modules[@]}"; do
    [ ! -d "/sys/module/$m" ] && modprobe --dry-run --quiet "$m" 2>/dev/null || continue
    act "load the kernel module $m" modprobe "$m"
    note "module $m"
  done
  list=$(mktemp)
  printf '%s\n' "${modules[@]}" >"$list"
  [ -d /etc/modules-load.d ] && { put "$list" /etc/modules-load.d/bramble.conf 644 || true; }
  rm -f "$list"
}

# --- the service --------------------------------------------------------------------------------
write_service() { # answers whether anything changed
  local file changed=1
  file=$(mktemp)
  if systemd; then
    # Without the other members a server ends and is started again, however long that takes.
    sed "s/ROLE/$role/${etcd:+; s/^StartLimitIntervalSec=.*/StartLimitIntervalSec=0/}" "$here/bramble.service" >"$file"
    if put "$file" $unit 644; then changed=0; act "read units again" systemctl daemon-reload; fi
    if ! systemctl is-enabled --quiet bramble.service 2>/dev/null; then
      act "start bramble with the machine" systemctl enable --quiet bramble.service
    fi
    if ! systemctl is-enabled --quiet containerd.service 2>/dev/null; then
      act "start containerd with the machine" systemctl enable --quiet containerd.service
      note "enabled containerd.service"
    fi
  else
    sed "s/ROLE/$role/" "$here/bramble.init" >"$file"
    if put "$file" $init 755; then changed=0; fi
    ! command -v update-rc.d >/dev/null || [ -e /etc/rc2.d/S01bramble ] ||
      act "start bramble with the machine" update-rc.d bramble defaults
  fi
  rm -f "$file"
  return $changed
}
start_containerd() {
  if ! systemd; then
    ctr version >/dev/null 2>&1 || act "start containerd" $init containerd
    return 0
  fi
  if systemctl is-active --quiet containerd.service; then return 0; fi
  act "start containerd" systemctl start containerd.service
  note "started containerd.service"
}
service() { if systemd; then systemctl "$1" bramble.service; else $init "$1"; fi; }
running() { if systemd; then systemctl is-active --quiet bramble.service; else $init status >/dev/null 2>&1; fi; }
data_dir() { local d; d=$(setting_of data-dir); echo "${d:-/var/lib/bramble}"; }
wait_ready() {
  local name i end=$((SECONDS + 60))
  if [ "$role" = server ]; then
    name=$(setting_of node-name)
    # An init script has started it, but does not know when it serves.
    until KUBECONFIG=$(data_dir)/kubeconfig $bin wait --for=condition=Ready --timeout 60s \
      "node/${name:-$(hostname | tr '[:upper:]' '[:lower:]' | cut -d. -f1)}" >/dev/null 2>&1; do
      [ $SECONDS -lt $end ] || die "the node is not ready: $hint"
      sleep 0.2
    done
    return 0
  fi
  for ((i = 0; i < 300; i++)); do
    [ ! -e "$(data_dir)/node/cluster.json" ] || return 0
    sleep 0.1
  done
  say "it has not joined yet, and goes on trying: $hint"
}
start_service() { # $1: whether what it runs from changed
  if ! running; then
    act "start bramble" service start
  elif [ "$1" = 0 ]; then
    act "restart bramble (pods run on)" service restart
  fi
  [ -n "$dry" ] || wait_ready
}
load_images() {
  local tar sum=''
  for tar in "$here"/images/*.tar; do
    [ -e "$tar" ] || continue
    [ -n "$dry" ] || sum=$(sha256sum <"$tar" | cut -d' ' -f1)
    ! grep -qxF "images $sum" $etc/installed 2>/dev/null || continue
    act "load the images of $(basename "$tar")" "$bin" image load "$tar" --config $etc/config.yaml
    note "images $sum"
  done
}

# shellcheck source-path=SCRIPTDIR source=etcd-setup.sh
. "$here/etcd-setup.sh"
if systemd; then hint="journalctl -u bramble"; else hint="/var/log/bramble.log"; fi
[ ! -e "$here/SHA256SUMS" ] || (cd "$here" && sha256sum --check --quiet SHA256SUMS) || die "this bundle is damaged"
new=''
find_bramble
[ -n "$dry" ] || { mkdir -p $etc && chmod 700 $etc && touch $etc/installed && chmod 600 $etc/installed; }
note "role $role"
# containerd makes these when it first runs.
for dir in /etc/cni /etc/cni/net.d; do [ -d $dir ] || note "dir $dir"; done
install_packages
make_dir $lib
install_nerdctl
install_cni
[ -z "$token" ] || settings+=("token=$token")
[ -z "$url" ] || settings+=("server=$url")
[ -z "$etcd" ] || setup_etcd
load_modules
changed=1
! write_settings || changed=0
! write_service || changed=0
for script in uninstall.sh; do put "$here/$script" "$lib/$script" 755 || true; done
start_containerd
if [ -x $bin ] && ! cmp -s "$new" $bin && running; then
  act "upgrade bramble, and go back if it does not come up" "$new" upgrade --config $etc/config.yaml
  changed=1
elif put "$new" $bin 755; then
  changed=0
fi
[ -n "$dry" ] || $bin doctor --config $etc/config.yaml --quiet || say "see: bramble doctor"
if [ -n "$start" ]; then
  start_service $changed
  load_images
fi
[ -z "$dry" ] || exit 0
if [ -n "$etcd" ] && [ -n "$start" ]; then
  write_join
  $lib/etcd.sh status || true
  cat <<TEXT

Another server, with its member of the etcd, on another board (the file lets in: keep it secret):
  install.sh --server --etcd-join FILE        # FILE: $etcd_dir/join of this one
Then once more \`install.sh\` on the boards that were there before: they learn of the new one.
TEXT
fi
if [ "$role" = server ] && [ -n "$start" ]; then
  cat <<TEXT

The cluster runs. Next:
  export KUBECONFIG=$(data_dir)/kubeconfig
  bramble get nodes
  bramble token create        # then on another board: install.sh --agent --token …
TEXT
elif [ -n "$start" ]; then
  say "this machine is a node; on the server: bramble get nodes"
fi
