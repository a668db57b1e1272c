#!/usr/bin/env bash
# nerdctl.sh - makes sure that a nerdctl of 1.7 or newer is there.
#
#   nerdctl.sh           finds one, else builds v2.0.4 from the pinned module in install/nerdctl,
#                        else fetches its release and checks it against the published checksums
#   nerdctl.sh --print   prints its path
#   nerdctl.sh --to FILE   builds or fetches it there, whatever else is there
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
version=2.0.4 target=/usr/local/bin/nerdctl go_arch=${GOARCH:-}
die() { echo "nerdctl.sh: $*" >&2; exit 1; }

new_enough() { # $1 program
  local v
  v=$("$1" --version 2>/dev/null | sed -n 's/.* \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || return 1
  set -- $v
  [ $# = 2 ] && { [ "$1" -ge 2 ] || { [ "$1" = 1 ] && [ "$2" -ge 7 ]; }; }
}
found() { command -v nerdctl || { [ -x $target ] && echo $target; }; }

if [ "${1:-}" = --print ]; then found || die "there is no nerdctl"; exit 0; fi
if [ "${1:-}" = --to ]; then target=${2:?which file?}; elif p=$(found) && new_enough "$p"; then exit 0; fi
if command -v go >/dev/null; then
  echo "==> building nerdctl v$version (about a minute)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here/nerdctl/go.mod" "$here/nerdctl/go.sum" "$work/"
  if (cd "$work" && CGO_ENABLED=0 go build -mod=readonly -trimpath \
    -ldflags "-s -w -X github.com/containerd/nerdctl/v2/pkg/version.Version=v$version" \
    -o "$work/nerdctl" github.com/containerd/nerdctl/v2/cmd/nerdctl 2> >(grep -v '^go: downloading' >&2)); then
    install -m 755 "$work/nerdctl" "$target"
    exit 0
  fi
  echo "nerdctl.sh: building failed, trying the release archive" >&2
fi
case ${go_arch:-$(uname -m)} in x86_64 | amd64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) die "no release of nerdctl for $(uname -m)" ;; esac
echo "==> fetching nerdctl v$version"
base=https://github.com/containerd/nerdctl/releases/download/v$version
file=nerdctl-$version-linux-$arch.tar.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl -fsSL --max-time 300 -o "$work/$file" "$base/$file" && curl -fsSL --max-time 60 -o "$work/SHA256SUMS" "$base/SHA256SUMS" ||
  die "nerdctl is missing: install Go 1.23 or newer, or bring nerdctl v$version to $target"
(cd "$work" && grep " $file\$" SHA256SUMS | sha256sum -c --quiet -) || die "checksum of $file is wrong"
tar -C "$work" -xzf "$work/$file" nerdctl
install -m 755 "$work/nerdctl" "$target"
