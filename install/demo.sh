#!/usr/bin/env bash
# demo.sh - from a clone to a cluster that serves a page: one command, and one to remove it again.
#
#   ./install/demo.sh [options]          install what is missing, build, start, deploy, show answers
#   ./install/demo.sh --down [options]   remove every trace of it
#
#   --data-dir DIR            where its state is kept          (/var/lib/bramble-demo)
#   --https-port PORT         port of the API                  (6443)
#   --node-port PORT          port of the page on this machine (30080)
#   --containerd-address SOCK use this containerd; where none answers one of its own is started
#                                                              (/run/containerd/containerd.sock)
#   --containerd-namespace NS containerd namespace             (bramble-demo)
#   --cluster-cidr CIDR       pod addresses                    (10.42.0.0/16)
#   --service-cidr CIDR       Service addresses                (10.43.0.0/16)
#
# Runs as root on a Debian-like machine. systemd is used where it is PID 1, and not needed.
set -euo pipefail
# Root by plain `su` has the caller's, without the administrator's programs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
cd "$(dirname "$(readlink -f "$0")")/.."

data=/var/lib/bramble-demo port=6443 node_port=30080 socket=/run/containerd/containerd.sock
namespace=bramble-demo pods=10.42.0.0/16 services=10.43.0.0/16 down='' given=("$@")
die() { printf 'demo.sh: %s\n' "$*" >&2; exit 1; }
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
while [ $# -gt 0 ]; do
  case $1 in
    --down) down=1; shift; continue ;;
    -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --data-dir | --https-port | --node-port | --containerd-address | --containerd-namespace | --cluster-cidr | --service-cidr)
      [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "unknown option $1 (see --help)" ;;
  esac
  case $1 in
    --data-dir) data=$2 ;;
    --https-port) port=$2 ;;
    --node-port) node_port=$2 ;;
    --containerd-address) socket=$2 ;;
    --containerd-namespace) namespace=$2 ;;
    --cluster-cidr) pods=$2 ;;
    --service-cidr) services=$2 ;;
  esac
  shift 2
done
[ "$(id -u)" = 0 ] || die "needs root"
case $data in /*) ;; *) die "--data-dir must be an absolute path" ;; esac
bramble=$PWD/dist/bramble
dns=$(echo "$services" | sed 's|\([0-9.]*\)\.[0-9]*/.*|\1.10|')
own=$data-containerd # not below the data-dir: it must outlive it until its mounts are gone
unit=bramble-demo-$port

systemd() { [ -d /run/systemd/system ]; }
answers() { [ -S "$1" ] && ctr --address "$1" version >/dev/null 2>&1; }
stop_pid() { # $1 file with a pid that we started, $2 words of its command line
  local pid i
  pid=$(cat "$1" 2>/dev/null) || return 0
  if grep -qa -- "$2" "/proc/$pid/cmdline" 2>/dev/null; then
    kill "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$1"
}

start_own() { # containerd with its own root, state and socket; nothing where it answers already
  socket=$own/containerd.sock
  ! answers "$socket" || return 0
  mkdir -p "$own"
  cat >"$own/config.toml" <<EOF
version = 2
root = "$own/root"
state = "$own/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$socket"
[plugins."io.containerd.internal.v1.opt"]
path = "$own/opt"
[plugins."io.containerd.service.v1.diff-service"]
sync_fs = true
EOF
  setsid containerd --config "$own/config.toml" >"$own/log" 2>&1 </dev/null &
  echo $! >"$own/pid"
  for ((i = 0; i < 200; i++)); do answers "$socket" && return 0; sleep 0.05; done
  die "containerd did not start, see $own/log"
}

take_down() {
  if [ -d "$data" ]; then
    [ -x "$bramble" ] || die "$bramble is missing: bun install && bun run build"
    ! systemd || systemctl stop "$unit.service" 2>/dev/null || true
    if [ -f "$data/instance.json" ]; then
      # Its containerd may have gone with a reboot, and only that can remove its containers.
      [ ! -d "$own" ] || start_own
      "$bramble" delete --data-dir "$data" >/dev/null
    else # it was cut off before a node ran
      stop_pid "$data/pid" "$data"
    fi
  fi
  if [ -d "$own" ]; then
    stop_pid "$own/pid" "$own/config.toml"
    awk -v d="$own/" 'index($2, d) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l
  fi
  rm -rf "$own" "$data"
}
if [ -n "$down" ]; then
  take_down
  say "nothing of the demonstration is left"
  exit 0
fi
[ ! -e "$data" ] || die "$data exists: a demonstration runs already, or was cut off; remove it with --down"

apt_install() { # its many words are shown only where it fails
  local words
  words=$(apt-get install -y -qq --no-install-recommends "$@" 2>&1) || die "apt-get install $*: $words"
}

install_packages() {
  local want=() pair
  for pair in containerd:containerd runc:runc iptables:iptables ip:iproute2 conntrack:conntrack busybox:busybox-static \
    modprobe:kmod curl:curl; do
    command -v "${pair%%:*}" >/dev/null || want+=("${pair##*:}")
  done
  [ -x /usr/lib/cni/bridge ] || want+=(containernetworking-plugins)
  [ ${#want[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "missing: ${want[*]} (install them; there is no apt-get here)"
  say "installing ${want[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt_install "${want[@]}"
}

install_bun() {
  command -v bun >/dev/null && return 0
  if ! command -v npm >/dev/null; then
    say "installing npm"
    apt_install npm
  fi
  say "installing bun"
  npm install --global --silent "bun@$(sed -n 's/.*"@types\/bun": "\(.*\)".*/\1/p' package.json)" >/dev/null
  command -v bun >/dev/null || die "npm installed no bun"
}

say "bramble: a cluster on this machine"
install_packages
install/nerdctl.sh
if [ ! -x "$bramble" ] || [ -n "$(find src agents tools package.json bun.lock -newer "$bramble" -print -quit 2>/dev/null)" ]; then
  install_bun
  say "building $bramble"
  bun install --frozen-lockfile --silent
  bun run --silent build >/dev/null
fi

mkdir -p "$data"
trap '[ $? = 0 ] || printf "demo.sh: failed; the log is %s, and --down takes away what was started\\n" "$data/server.log" >&2' EXIT
if ! answers "$socket"; then
  if systemd && [ "$socket" = /run/containerd/containerd.sock ]; then systemctl start containerd 2>/dev/null || true; fi
fi
if ! answers "$socket"; then
  say "no containerd answers on $socket: starting one in $own"
  start_own
fi

flags=(--data-dir "$data" --https-port "$port" --containerd-address "$socket" --containerd-namespace "$namespace"
  --cluster-cidr "$pods" --service-cidr "$services" --cluster-dns "$dns" --nerdctl "$(install/nerdctl.sh --print)")
say "starting the server on port $port"
if systemd; then
  systemd-run --quiet --collect --unit "$unit" --property KillMode=process \
    --property "StandardError=append:$data/server.log" "$bramble" server "${flags[@]}"
  runs() { systemctl is-active --quiet "$unit.service"; }
else
  setsid "$bramble" server "${flags[@]}" >>"$data/server.log" 2>&1 </dev/null &
  echo $! >"$data/pid"
  runs() { kill -0 "$(cat "$data/pid")" 2>/dev/null; }
fi
ready() { [ -f "$data/kubeconfig" ] && curl -fsk --max-time 2 "https://127.0.0.1:$port/readyz" >/dev/null 2>&1; }
for ((i = 0; i < 300; i++)); do
  ready && break
  runs || die "the server ended: $(tail -n 2 "$data/server.log" 2>/dev/null | sed 's/^bramble: //' | tr '\n' ' ')"
  sleep 0.1
done
ready || die "the server is not ready"

say "making the image bramble.local/web:1 from local files"
image=$(mktemp)
install/web-image.sh "$image" 1
"$bramble" image load "$image" --data-dir "$data"
rm -f "$image"

say "deploying 3 replicas behind a Service"
export KUBECONFIG=$data/kubeconfig
sed "s/NODE_PORT/$node_port/" install/demo.yaml | "$bramble" apply -f -
"$bramble" rollout status deployment/web --timeout 120s
"$bramble" get pods -o wide

ip=$("$bramble" get service web -o 'jsonpath={.spec.clusterIP}')
ask() { # $1 URL: answers of several requests, each different one once
  local i
  for ((i = 0; i < 30; i++)); do curl -fsS --max-time 2 "$1"; done | sort | uniq -c
}
say "30 requests to the Service, http://$ip/"
ask "http://$ip/"
node=$("$bramble" get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}')
say "30 requests to the node port, http://$node:$node_port/"
ask "http://$node:$node_port/"
cat <<EOF

The cluster runs. Next:
  export KUBECONFIG=$data/kubeconfig PATH=\$PATH:$PWD/dist
  kubectl get pods -o wide          # or, without kubectl: bramble get pods -o wide
  bramble scale deployment/web --replicas 5
  curl http://$node:$node_port/
  ./install/demo.sh --down${given[*]:+ ${given[*]}}   # removes every trace of it
EOF
