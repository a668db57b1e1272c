#!/usr/bin/env bash
# run.sh - installs what the tests need and runs every test; the last line is `N passed, N failed`.
#
#   ./test/run.sh            all sets but install, which boots machines (bun run test:install)
#   ./test/run.sh SET...     some of: check rules unit property component attacks host e2e suites install cluster conformance
#
# Needs root and a Debian-like machine. A missing tool is a failure, never a skipped test.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
sets=("$@")
[ $# -gt 0 ] || sets=(check rules unit property component attacks host e2e suites cluster conformance)
# What is drawn at random is the same in every run; `bun run test:property` and `test:fuzz` draw anew.
export PROPERTY_SEED=${PROPERTY_SEED:-1} FUZZ_SEED=${FUZZ_SEED:-1}
passed=0 failed=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
finish() { echo "$passed passed, $failed failed"; [ "$failed" = 0 ]; exit; }
fail() { echo "FAILED: $*"; failed=$((failed + 1)); }

prepare() {
  [ "$(id -u)" = 0 ] || { fail "needs root"; finish; }
  local want=() pair
  for pair in containerd:containerd runc:runc iptables:iptables nft:nftables ip:iproute2 conntrack:conntrack ipset:ipset \
    busybox:busybox-static umoci:umoci skopeo:skopeo jq:jq setpriv:util-linux ps:procps curl:curl dig:dnsutils \
    docker-registry:docker-registry etcd:etcd-server openssl:openssl nc.openbsd:netcat-openbsd avahi-daemon:avahi-daemon \
    avahi-browse:avahi-utils dbus-daemon:dbus modprobe:kmod faketime:faketime systemd-nspawn:systemd-container mmdebstrap:mmdebstrap \
    qemu-aarch64-static:qemu-user-static scp:openssh-client; do
    command -v "${pair%%:*}" >/dev/null || want+=("${pair##*:}")
  done
  [ -x /usr/lib/cni/bridge ] || want+=(containernetworking-plugins)
  [ -d /usr/aarch64-linux-gnu ] || want+=(libc6-arm64-cross)
  if [ ${#want[@]} -gt 0 ]; then
    echo "installing ${want[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${want[@]}" >"$logs/apt" 2>&1 ||
      { cat "$logs/apt"; fail "missing packages: ${want[*]}"; finish; }
  fi
  python3 -c 'import ensurepip, venv' 2>/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >"$logs/apt" 2>&1 || { cat "$logs/apt"; fail "missing python3-venv"; finish; }
  install/nerdctl.sh || { fail "missing nerdctl"; finish; }
  command -v bun >/dev/null || npm install --global --silent "bun@$(sed -n 's/.*"@types\/bun": "\(.*\)".*/\1/p' package.json)" >/dev/null
  command -v bun >/dev/null || { fail "missing bun"; finish; }
  command -v go >/dev/null || { fail "missing go"; finish; }
  command -v kubectl >/dev/null ||
    (cd test/conformance && CGO_ENABLED=0 go build -o /usr/local/bin/kubectl k8s.io/kubernetes/cmd/kubectl) ||
    { fail "missing kubectl"; finish; }
  bun install --frozen-lockfile --silent || { fail "bun install"; finish; }
  bun run --silent build >"$logs/build" 2>&1 || { cat "$logs/build"; fail "build"; finish; }
}

step() { # $1 name, then a command that counts as one test
  local name=$1; shift
  if "$@" >"$logs/step" 2>&1; then passed=$((passed + 1)); echo "passed: $name"; else cat "$logs/step"; fail "$name"; fi
}

bun_tests() { # $1 name of the set, $2... what bun test is told
  local log=$logs/$1 p f
  echo "== $1"
  bun test --timeout 120000 "${@:2}" >"$log" 2>&1
  local code=$?
  grep -E '^\(fail\)|^error:|^# Unhandled' "$log" | head -50
  p=$(sed -n 's/^ *\([0-9]*\) pass$/\1/p' "$log" | tail -1) f=$(sed -n 's/^ *\([0-9]*\) fail$/\1/p' "$log" | tail -1)
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
  [ -n "$p" ] || { tail -40 "$log"; fail "no tests ran in $1"; }
  if [ $code != 0 ] && [ "${f:-0}" = 0 ]; then tail -40 "$log"; fail "$1 ended with status $code"; fi
  if [ "${f:-0}" != 0 ]; then echo "--- output of $1"; tail -200 "$log"; fi
  echo "$1: ${p:-0} passed, ${f:-0} failed"
}

smoke() { # some of upstream's own tests, of every group
  local log=$logs/conformance p all trouble
  echo "== conformance"
  timeout 2400 bun test/conformance/run.ts --smoke >"$log" 2>&1
  read -r p all < <(sed -n 's/^\([0-9]*\) of \([0-9]*\) passed.*/\1 \2/p' "$log" | tail -1)
  [ -n "${all:-}" ] || { tail -40 "$log"; fail "the conformance suite did not run"; return; }
  trouble=$(grep -c '^TROUBLE' "$log")
  passed=$((passed + p)) failed=$((failed + all - p + trouble))
  [ "$((all - p + trouble))" = 0 ] || tail -60 "$log"
  echo "conformance: $p passed, $((all - p)) failed, $trouble left behind or logged"
}

prepare
for s in "${sets[@]}"; do
  case $s in
    check)
      step "types" bunx tsc --noEmit
      step "format and lint" bunx biome check .
      ;;
    property) PROPERTY_RUNS=all bun_tests property -t "property: " ./test/unit/ ;;
    rules | unit | component | attacks | host | e2e | suites | install | cluster) bun_tests "$s" "./test/$s/" ;;
    conformance) smoke ;;
    *) fail "unknown set $s" ;;
  esac
done
finish
