#!/usr/bin/env bash
# build.sh - makes upstream's test programs and the images that its suite uses, from Go modules and local files.
#
#   build.sh [--programs-only]    results in build/: e2e.test, ginkgo, kubectl, images/*.tar, repositories.yaml
#
# Takes about 10 minutes the first time on 2 cores; later only what changed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
image=$PWD/../../install/image.sh build=$PWD/build
mkdir -p "$build/images" "$build/bin"
die() { echo "build.sh: $*" >&2; exit 1; }
for p in go dig curl nc.openbsd dpkg-deb; do
  command -v "$p" >/dev/null || die "$p is missing (apt-get install dnsutils curl netcat-openbsd)"
done
# Debian's static busybox crashes in wget, so the dynamic one is taken, out of its package.
if [ ! -x "$build/bin/busybox" ]; then
  unpacked=$(mktemp -d)
  (cd "$unpacked" && apt-get download -q busybox >/dev/null && dpkg-deb -x busybox_*.deb .) || die "cannot fetch busybox"
  install -D "$(find "$unpacked" -type f -name busybox -perm -1 | head -1)" "$build/bin/busybox"
  rm -rf "$unpacked"
fi

static() { # $1 output, $2 package, $3 more flags of the linker: a program without libraries
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w ${3:-}" -o "$build/bin/$1" "$2"
}
# kubectl tells its own version, which a build from a module does not set.
static kubectl k8s.io/kubernetes/cmd/kubectl "-X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
static agnhost k8s.io/kubernetes/test/images/agnhost
static pause ./programs/pause
static nonewprivs ./programs/nonewprivs
static static ./programs/static
static sh ./programs/sh
static sample-apiserver k8s.io/sample-apiserver
[ -x "$build/ginkgo" ] || go build -trimpath -o "$build/ginkgo" github.com/onsi/ginkgo/v2/ginkgo
[ "$build/e2e.test" -nt suite_test.go ] && [ "$build/e2e.test" -nt go.sum ] ||
  go test -c -vet=off -tags selinux,notest -trimpath -ldflags "-s -w" -o "$build/e2e.test" .
(cd etcd && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$build/bin/etcd" go.etcd.io/etcd/server/v3)
[ "${1:-}" != --programs-only ] || exit 0

roots=$(mktemp -d)
trap 'rm -rf "$roots"' EXIT
programs() { # $1 root, then programs of this machine with the libraries that they load
  local root=$1 p lib; shift
  for p in "$@"; do
    p=$(readlink -f "$(command -v "$p")") || die "$p is missing"
    rm -f "$root/bin/$(basename "$p")"
    cp "$p" "$root/bin/"
    for lib in $(ldd "$p" | grep -o '/[^ ]*') /lib/x86_64-linux-gnu/libnss_dns.so.2 /lib/x86_64-linux-gnu/libnss_files.so.2; do
      [ -e "$lib" ] || continue
      mkdir -p "$root$(dirname "$lib")" && cp -Lu "$lib" "$root$lib"
    done
  done
}
base() { # $1 name: a root with busybox, as most of upstream's images have a shell
  local root=$roots/$1 applet
  mkdir -p "$root"/{bin,etc,root,proc,sys,dev,var,usr/bin,home} && mkdir -m 1777 "$root/tmp"
  chmod 755 "$root"
  programs "$root" "$build/bin/busybox"
  for applet in $("$build/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  echo "$root"
}
archive() { # $1 file, $2 name:tag, $3 root, $4 cmd, $5 entrypoint
  echo "image $2"
  "$image" "$2" "$build/images/$1.tar" "$3" "$4" "${5:-[]}"
}
e2e=bramble.test/e2e

root=$(base agnhost)
cp "$build/bin/agnhost" "$root/agnhost"
ln "$root/agnhost" "$root/agnhost-2" # tests override the entry point with it
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
  -addext subjectAltName=IP:127.0.0.1,IP:::1 -keyout "$root/localhost.key" -out "$root/localhost.crt" 2>/dev/null
chmod 644 "$root/localhost.key"
programs "$root" dig curl nc.openbsd getent
ln -sf nc.openbsd "$root/bin/nc"
archive agnhost "$e2e/agnhost:2.56" "$root" '["pause"]' '["/agnhost"]'
root=$(base dnsutils)
programs "$root" dig getent
archive jessie-dnsutils "$e2e/jessie-dnsutils:1.7" "$root" '["sh"]'
root=$(base busybox)
rm "$root/bin/sh"
cp "$build/bin/sh" "$root/bin/sh"
archive busybox "$e2e/busybox:1.37.0-1" "$root" '["sh"]'
archive busybox-old "$e2e/busybox:1.29-2" "$root" '["sh"]'
for tag in 2.4.38-4 2.4.39-4; do
  root=$(base "httpd-$tag")
  mkdir -p "$root/usr/local/apache2/htdocs"
  cp "$build/bin/static" "$root/bin/httpd-static"
  echo '<html><body><h1>It works!</h1></body></html>' >"$root/usr/local/apache2/htdocs/index.html"
  archive "httpd-$tag" "$e2e/httpd:$tag" "$root" '["/bin/httpd-static","/usr/local/apache2/htdocs"]'
done
for tag in 1.14-4 1.15-4; do
  root=$(base "nginx-$tag")
  mkdir -p "$root/usr/share/nginx/html"
  cp "$build/bin/static" "$root/bin/nginx-static"
  echo '<html><body><h1>Welcome to nginx!</h1></body></html>' >"$root/usr/share/nginx/html/index.html"
  archive "nginx-$tag" "$e2e/nginx:$tag" "$root" '["/bin/nginx-static","/usr/share/nginx/html"]'
done
for pet in nautilus kitten; do
  root=$(base $pet)
  mkdir -p "$root/data"
  cp "$build/bin/static" "$root/bin/serve-static"
  printf '{\n  "image":"%s.jpg"\n}\n' $pet >"$root/data/data.json"
  echo "<html>$pet</html>" >"$root/data/index.html"
  archive $pet "$e2e/$pet:1.7" "$root" '["/bin/serve-static","/data"]'
done
mkdir -p "$roots/pause" && chmod 755 "$roots/pause" && cp "$build/bin/pause" "$roots/pause/pause"
archive pause bramble.test/pause:3.10.1 "$roots/pause" '[]' '["/pause"]'
root=$(base nonewprivs)
cp "$build/bin/nonewprivs" "$root/nnp" && chmod 4755 "$root/nnp"
archive nonewprivs "$e2e/nonewprivs:1.3" "$root" '["/nnp"]'
root=$(base sample-apiserver)
cp "$build/bin/sample-apiserver" "$root/sample-apiserver"
archive sample-apiserver "$e2e/sample-apiserver:1.29.2" "$root" '[]' '["/sample-apiserver"]'
root=$(base etcd)
mkdir -p "$root/usr/local/bin" && cp "$build/bin/etcd" "$root/usr/local/bin/etcd"
archive etcd bramble.test/etcd:3.6.4-0 "$root" '["/usr/local/bin/etcd"]'
cat >"$build/repositories.yaml" <<EOF
promoterE2eRegistry: $e2e
gcRegistry: bramble.test
gcEtcdRegistry: bramble.test
buildImageRegistry: bramble.test/build
sigStorageRegistry: bramble.test/storage
EOF
