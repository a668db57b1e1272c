#!/bin/sh
# image.sh - a container image (docker archive) of one layer, from local files only; needs tar and sha256sum.
#
#   image.sh NAME:TAG OUT.tar ROOTFS [CMD-JSON] [ENTRYPOINT-JSON]
#
# ROOTFS is a folder, taken whole and owned by root. CMD-JSON as '["httpd","-f"]'; default '["sh"]'.
set -eu
[ $# -ge 3 ] || { sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2; }
name=$1 out=$2 rootfs=$3 cmd=${4:-'["sh"]'} entrypoint=${5:-'[]'}
[ -d "$rootfs" ] || { echo "image.sh: no folder $rootfs" >&2; exit 1; }
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$rootfs" --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -cf "$work/layer.tar" .
layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
cat > "$work/config.json" <<EOF
{"architecture":"$arch","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
"Cmd":$cmd,"Entrypoint":$entrypoint,"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
"history":[{"created_by":"image.sh"}]}
EOF
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]\n' "$name" > "$work/manifest.json"
tar -C "$work" --numeric-owner --owner=0 --group=0 -cf "$out" manifest.json config.json layer.tar
