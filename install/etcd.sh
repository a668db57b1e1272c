#!/usr/bin/env bash
# etcd.sh - the etcd that bramble's servers share, as its operator sees it.
#
#   etcd.sh status         its members, whether each answers, and how many may be away
#   etcd.sh snapshot       writes one to /var/lib/bramble-etcd/snapshots; the last twelve are kept
#   etcd.sh remove NAME    takes a member out that does not come back
#   etcd.sh leave          takes this machine's out, if it is not the only one
#
# A further member comes in by `install.sh --server --etcd-join FILE`, and takes the place of a dead
# one with `--etcd-replace NAME`.
set -euo pipefail
etc=/etc/bramble/etcd data=/var/lib/bramble-etcd bin=/usr/local/lib/bramble/etcd snapshots_kept=12
die() { printf 'etcd.sh: %s\n' "$*" >&2; exit 1; }

ctl() { # $1 endpoints
  local urls=$1; shift
  ETCDCTL_API=3 ETCDCTL_CACERT=$etc/ca.crt ETCDCTL_CERT=$etc/member.crt ETCDCTL_KEY=$etc/member.key \
    $bin/etcdctl --dial-timeout 3s --command-timeout "${wait:-8s}" --endpoints "$urls" "$@"
}
env_of() { sed -n "s/^$1=//p" $etc/etcd.env; }
# ID, status, name, peer addresses, client addresses, learner: one a line
members() {
  local urls
  urls=$(sed -n 's/^datastore: "etcd=\(.*\)"$/\1/p' /etc/bramble/config.yaml)
  ctl "${urls:-$(env_of ETCD_ADVERTISE_CLIENT_URLS)}" member list | sed 's/, /,/g'
}

status() {
  local list count=0 id state name client learner word
  list=$(members 2>/dev/null) || die "no member answers: see systemctl status bramble-etcd on each"
  while IFS=, read -r id state name _ client learner; do
    count=$((count + 1))
    word='does not answer'
    ! ctl "$client" endpoint health >/dev/null 2>&1 || word=answers
    [ "$state" = started ] || word="was never started"
    [ "$learner" != true ] || word="is on its way in"
    printf '%-20s %-30s %s\n' "${name:-$id}" "$client" "$word"
  done <<<"$list"
  survives $count
}
survives() { # $1 members
  case $1 in
    1) echo "1 member: when it is away nothing works, and its disk is the only copy. Add two more." ;;
    2) echo "2 members: when EITHER is away nothing can be written. Two fail more often than one; add a third." ;;
    *) echo "$1 members: $((($1 - 1) / 2)) may be away; with $((($1 + 1) / 2)) away nothing can be written." ;;
  esac
}

whole() { # $1 a snapshot: it ends with the SHA-256 of all before (etcdctl 3.6 has no `snapshot status`)
  [ "$(head -c -32 "$1" | sha256sum | cut -d' ' -f1)" = "$(tail -c 32 "$1" | od -An -v -tx1 | tr -d ' \n')" ]
}
snapshot() {
  local to old
  to=$data/snapshots/$(date -u +%Y%m%dT%H%M%SZ).db
  umask 077
  wait=300s ctl "$(env_of ETCD_ADVERTISE_CLIENT_URLS)" snapshot save "$to" >/dev/null 2>&1 || die "etcd gave no snapshot: see etcd.sh status"
  whole "$to" || { rm -f "$to"; die "the snapshot was damaged"; }
  while read -r old; do rm -f "$old"; done < <(printf '%s\n' $data/snapshots/*.db | head -n -$snapshots_kept)
  echo "$to"
}

remove() { # $1 name or ID
  local id
  id=$(members | awk -F, -v name="$1" '$3 == name || $1 == name { print $1 }')
  [ -n "$id" ] || die "no member $1"
  ctl "$(members | cut -d, -f5 | awk NF | paste -sd,)" member remove "$id"
  status
}

leave() {
  local list own others words i
  list=$(members 2>/dev/null) || { echo "the other members do not answer: on one of them, etcd.sh remove $(env_of ETCD_NAME)"; return; }
  own=$(awk -F, -v peer="$(env_of ETCD_LISTEN_PEER_URLS)" '$4 == peer { print $1 }' <<<"$list")
  others=$(awk -F, -v id="$own" '$1 != id && $5 != "" { print $5 }' <<<"$list" | paste -sd,)
  [ -n "$own" ] && [ -n "$others" ] || return 0
  # etcd lets none go until the others have been connected for five seconds.
  for ((i = 0; i < 20; i++)); do
    if words=$(ctl "$others" member remove "$own" 2>&1); then return 0; fi
    sleep 1
  done
  die "this member has not left: on another machine, etcd.sh remove $(env_of ETCD_NAME): $(tail -1 <<<"$words")"
}

case ${1:-} in
  status | snapshot | leave | remove)
    [ "$(id -u)" = 0 ] || die "needs root (sudo)"
    [ -e $etc/etcd.env ] || die "this machine has no member of an etcd" ;;
esac
case ${1:-} in
  status | snapshot | leave) "$1" ;;
  remove) remove "${2:?which member?}" ;;
  *) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0" ;;
esac
