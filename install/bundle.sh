#!/usr/bin/env bash
# bundle.sh - all that install.sh needs, in one archive, for machines without a network.
#
#   bundle.sh [--arch amd64|arm64] [--out FILE.tar.gz] [--image FILE.tar]... [--no-packages]
#
#   --arch A        architecture of the machines   (default: this one's)
#   --out FILE      default: dist/bramble-VERSION-ARCH.tar.gz
#   --image FILE    an image archive (docker save, nerdctl save) to load on each; may be repeated
#   --etcd          with Debian's etcd, for `install.sh --server --etcd`; another one: put its etcd and
#                   etcdctl into the folder etcd of the unpacked bundle
#   --no-packages   leave out Debian's packages, where the machines have containerd and runc
#
# In it: the binary, nerdctl, the CNI plugins, containerd and runc with the libraries they need (as
# packages of the release that this machine's apt knows), images, units and scripts.
#   tar xzf bramble-*.tar.gz && bramble-*/install.sh --server
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
die() { printf 'bundle.sh: %s\n' "$*" >&2; exit 1; }
case $(uname -m) in x86_64) own=amd64 ;; aarch64) own=arm64 ;; *) die "no bramble for $(uname -m)" ;; esac
arch=$own out='' packages=1 images=() etcd=''
# What a Debian of the smallest kind may lack; what a machine has already is not touched.
wanted=(containerd runc iptables libip4tc2 libip6tc2 libxtables12 libnfnetlink0 libnetfilter-conntrack3 libmnl0
  libnftnl11 conntrack libseccomp2 kmod libkmod2 netbase)
while [ $# -gt 0 ]; do
  case $1 in
    --no-packages) packages=''; shift; continue ;;
    --etcd) etcd=1; shift; continue ;;
    -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    --arch | --out | --image) [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "unknown option $1 (see --help)" ;;
  esac
  case $1 in --arch) arch=$2 ;; --out) out=$2 ;; --image) [ -f "$2" ] || die "no file $2"; images+=("$2") ;; esac
  shift 2
done
case $arch in amd64) binary=dist/bramble script=build ;; arm64) binary=dist/bramble-arm64 script=build:arm64 ;; *) die "--arch amd64 or arm64" ;; esac
[ $arch = $own ] || [ $arch = arm64 ] || die "bundles for amd64 are made on amd64"
[ $arch != $own ] || { binary=dist/bramble script=build; }
version=$(sed -n 's/^  "version": "\(.*\)",/\1/p' package.json)
name=bramble-$version-$arch
out=${out:-dist/$name.tar.gz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
to=$work/$name
mkdir -p "$to/cni" "$to/images" "$to/debs" "$(dirname "$out")"

if [ ! -x "$binary" ] || [ -n "$(find src agents tools package.json bun.lock -newer "$binary" -print -quit)" ]; then
  command -v bun >/dev/null || die "bun is missing: install/demo.sh or npm install --global bun brings it"
  bun install --frozen-lockfile --silent
  bun run --silent "$script" >/dev/null
fi
cp "$binary" "$to/bramble"
cp install/{install.sh,uninstall.sh,etcd-setup.sh,etcd.sh,bramble.service,bramble.init} install/bramble-etcd* "$to/"

# apt of its own, so that packages of another architecture leave this machine's alone.
apt_dir=$work/apt
mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
: >"$apt_dir/status"
apt() {
  local word=$1; shift
  "apt-$word" -qq -o "Dir::State=$apt_dir" -o "Dir::State::status=$apt_dir/status" -o "Dir::Cache=$apt_dir/cache" \
    -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o APT::Sandbox::User=root "$@"
}
fetch() { # packages into the folder $1
  local dir=$1; shift
  if [ $arch = $own ]; then (cd "$dir" && apt-get -qq download "$@" >/dev/null); else (cd "$dir" && apt get download "$@" >/dev/null); fi
}
[ $arch = $own ] || apt get update
if [ $arch = $own ]; then
  install/nerdctl.sh
  cp "$(install/nerdctl.sh --print)" "$to/nerdctl"
else
  GOARCH=$arch install/nerdctl.sh --to "$to/nerdctl"
fi
if [ $arch = $own ] && [ -x /usr/lib/cni/bridge ]; then
  cp /usr/lib/cni/{bridge,host-local,loopback} "$to/cni/"
else
  fetch "$work" containernetworking-plugins
  dpkg-deb --extract "$work"/containernetworking-plugins_*.deb "$work/plugins"
  cp "$work"/plugins/usr/lib/cni/{bridge,host-local,loopback} "$to/cni/"
fi
if [ -n "$etcd" ]; then
  mkdir -p "$to/etcd" "$work/etcd"
  fetch "$work/etcd" etcd-server etcd-client
  for deb in "$work"/etcd/*.deb; do dpkg-deb --extract "$deb" "$work/etcd"; done
  cp "$work"/etcd/usr/bin/{etcd,etcdctl} "$to/etcd/"
fi
[ -z "$packages" ] || fetch "$to/debs" "${wanted[@]}"
for image in "${images[@]}"; do cp "$image" "$to/images/"; done
(cd "$to" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum >SHA256SUMS)
tar -C "$work" --owner=0 --group=0 -czf "$out.new" "$name"
mv "$out.new" "$out"
printf '%s\n' "$out"
