#!/bin/sh
# web-image.sh - the demonstration's web server as an image: busybox and nothing else.
#
#   web-image.sh OUT.tar [TAG]     makes bramble.local/web:TAG (default: 1)
#
# Each container answers with the text in $GREETING and its own name.
set -eu
out=${1:?web-image.sh: which file?} tag=${2:-1}
busybox=$(command -v busybox) || { echo "web-image.sh: busybox is missing (apt-get install busybox-static)" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/www" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
chmod 755 "$root"
chmod 1777 "$root/tmp"
cp "$(readlink -f "$busybox")" "$root/bin/busybox"
for applet in $("$busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
cat > "$root/bin/serve" <<'EOF'
#!/bin/sh
# As PID 1 a shell ignores signals that it does not trap.
trap 'kill $child; exit 0' TERM
echo "${GREETING:-hello} from $(hostname)" > /www/index.html
httpd -f -p "${PORT:-8080}" -h /www &
child=$!
wait $child
EOF
chmod +x "$root/bin/serve"
"$(dirname "$0")/image.sh" "bramble.local/web:$tag" "$out" "$root" '["/bin/serve"]'
