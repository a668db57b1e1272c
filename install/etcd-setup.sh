# shellcheck shell=bash
# etcd-setup.sh - read by install.sh: this machine's member of the etcd that the servers share.
#
# The authority of the members' certificates, its key and the servers' secret are in one file,
# /etc/bramble/etcd/join, by which further boards come in. Certificates have no end and no
# beginning, as boards without a battery clock need it.
# shellcheck disable=SC2154,SC2086
etcd_dir=$etc/etcd etcd_data=/var/lib/bramble-etcd etcd_bin=$lib/etcd
etcd_ready_s=60

wanted_setting() { # $1 key: as this run sets it, or as it is
  local pair
  for pair in "${settings[@]}"; do
    [ "${pair%%=*}" != "$1" ] || { printf '%s' "${pair#*=}"; return; }
  done
  setting_of "$1"
}
member_name() {
  local name
  name=$(wanted_setting node-name)
  echo "${name:-$(hostname | tr '[:upper:]' '[:lower:]' | cut -d. -f1)}"
}
member_address() {
  local address
  address=$(wanted_setting node-ip)
  [ -n "$address" ] || address=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p')
  [ -n "$address" ] || die "no address of this machine leads to others: name it with --set node-ip=ADDRESS"
  case $address in *:*) echo "[$address]" ;; *) echo "$address" ;; esac
}
env_of() { sed -n "s/^$1=//p" $etcd_dir/etcd.env 2>/dev/null; }
joined() { sed -n "s/^$1 //p" "$etcd_join"; }
has_member() { [ -d $etcd_data/data/member ]; }
ctl() {
  ETCDCTL_API=3 ETCDCTL_CACERT=$etcd_dir/ca.crt ETCDCTL_CERT=$etcd_dir/member.crt ETCDCTL_KEY=$etcd_dir/member.key \
    $etcd_bin/etcdctl --dial-timeout 3s --command-timeout 8s --endpoints "$etcd_urls" "$@"
}

# --- programs and certificates ------------------------------------------------------------------
fetch_etcd() { # Debian's, without its service
  local work
  work=$(mktemp -d)
  (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download etcd-server etcd-client >/dev/null)
  for deb in "$work"/*.deb; do dpkg-deb --extract "$deb" "$work/all"; done
  put_now "$work/all/usr/bin/etcd" $etcd_bin/etcd 755
  put_now "$work/all/usr/bin/etcdctl" $etcd_bin/etcdctl 755
  rm -rf "$work"
}
install_etcd() { # answers whether anything changed
  local changed=1 name from=()
  make_dir $etcd_bin
  if [ -x "$here/etcd/etcd" ]; then
    from=("$here/etcd/etcd" "$here/etcd/etcdctl")
  elif [ ! -x $etcd_bin/etcdctl ] && command -v etcd >/dev/null && command -v etcdctl >/dev/null; then
    from=("$(command -v etcd)" "$(command -v etcdctl)")
  elif [ ! -x $etcd_bin/etcdctl ]; then
    command -v apt-get >/dev/null || die "etcd is missing: bring etcd and etcdctl, 3.4 to 3.6"
    act "bring etcd to $etcd_bin" fetch_etcd
    changed=0
  fi
  for name in "${from[@]}"; do ! put "$name" "$etcd_bin/$(basename "$name")" 755 || changed=0; done
  return $changed
}
sign() { # $1 name, $2 section of the configuration, then more for `openssl ca`: into $work/$1.crt
  local name=$1 section=$2; shift 2
  openssl req -new -key "$work/$name.key" -subj "/CN=$name" -out "$work/$name.csr"
  openssl ca -batch -notext -config "$work/conf" -extensions "$section" -in "$work/$name.csr" -out "$work/$name.crt" \
    -startdate 19700101000000Z -enddate 99991231235959Z -keyfile "$work/ca.key" "$@" 2>"$work/log" || { cat "$work/log" >&2; return 1; }
}
make_certificates() { # $1 name, $2 address
  local work file
  work=$(mktemp -d)
  : >"$work/index"
  cat >"$work/conf" <<CONF
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[member]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, DNS:$1, IP:127.0.0.1, IP:$(echo "$2" | tr -d '[]')
CONF
  umask 077
  if [ -n "$etcd_join" ]; then
    for file in ca.crt ca.key; do joined $file | base64 -d >"$work/$file"; done
  elif [ -e $etcd_dir/ca.key ]; then
    cp $etcd_dir/ca.crt $etcd_dir/ca.key "$work/"
  elif [ -e $etcd_data/kept/ca.key ]; then
    cp $etcd_data/kept/ca.crt $etcd_data/kept/ca.key "$work/"
  else
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
    sign ca authority -selfsign
  fi
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/member.key"
  sign member member -cert "$work/ca.crt"
  umask 022
  for file in ca.crt ca.key member.crt member.key; do put_now "$work/$file" $etcd_dir/$file 600; done
  rm -rf "$work"
}

# --- membership ---------------------------------------------------------------------------------
# ID, status, name, peer addresses, client addresses, learner: one a line
members() { ctl member list | sed 's/, /,/g'; }
client_urls() { # one's own first
  { echo "$etcd_url"; members | cut -d, -f5; } | awk 'NF && !seen[$0]++' | paste -sd,
}
remove_old() { # the member that this one takes the place of
  local id status member peer client
  while IFS=, read -r id status member peer client _; do
    case ,$etcd_name,$etcd_replace, in *",${member:--},"*) ;; *) [ "$peer" = "$etcd_peer" ] || continue ;; esac
    if [ "$status" = started ] && etcd_urls=$client ctl endpoint health >/dev/null 2>&1; then
      die "the member $member at $client runs: stop it first (uninstall.sh there, or systemctl stop bramble-etcd)"
    fi
    say "==> remove the member ${member:-$id} from the etcd"
    ctl member remove "$id" >/dev/null
  done < <(members)
}
write_env() { # $1 the cluster's first members, $2 new or existing
  local file
  file=$(mktemp)
  cat >"$file" <<ENV
ETCD_NAME=$etcd_name
ETCD_DATA_DIR=$etcd_data/data
ETCD_LISTEN_CLIENT_URLS=$etcd_url,https://127.0.0.1:2379
ETCD_ADVERTISE_CLIENT_URLS=$etcd_url
ETCD_LISTEN_PEER_URLS=$etcd_peer
ETCD_INITIAL_ADVERTISE_PEER_URLS=$etcd_peer
ETCD_INITIAL_CLUSTER=$1
ETCD_INITIAL_CLUSTER_STATE=$2
ETCD_INITIAL_CLUSTER_TOKEN=bramble
ETCD_CLIENT_CERT_AUTH=true
ETCD_TRUSTED_CA_FILE=$etcd_dir/ca.crt
ETCD_CERT_FILE=$etcd_dir/member.crt
ETCD_KEY_FILE=$etcd_dir/member.key
ETCD_PEER_CLIENT_CERT_AUTH=true
ETCD_PEER_TRUSTED_CA_FILE=$etcd_dir/ca.crt
ETCD_PEER_CERT_FILE=$etcd_dir/member.crt
ETCD_PEER_KEY_FILE=$etcd_dir/member.key
ETCD_HEARTBEAT_INTERVAL=200
ETCD_ELECTION_TIMEOUT=2000
ETCD_LOGGER=zap
ETCD_LOG_LEVEL=warn
ENV
  # Members up to 3.4 want to be told that they may run here.
  [ "$arch" != arm64 ] || echo ETCD_UNSUPPORTED_ARCH=arm64 >>"$file"
  put "$file" $etcd_dir/etcd.env 600 || true
  rm -f "$file"
}
add_member() { # as a learner: until it has all data, nobody waits for it
  local added
  remove_old
  added=$(ctl member add "$etcd_name" --learner --peer-urls="$etcd_peer") || die "the etcd did not take this member in"
  write_env "$(echo "$added" | sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p')" existing
}
promote() { # makes a learner a full member
  local i id
  for ((i = 0; i < etcd_ready_s * 2; i++)); do
    id=$(members 2>/dev/null | awk -F, -v peer="$etcd_peer" '$4 == peer && $6 == "true" { print $1 }') || id=later
    [ -n "$id" ] || return 0
    [ "$id" = later ] || ! ctl member promote "$id" >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  die "this member did not get the others' data in $etcd_ready_s s: journalctl -u bramble-etcd"
}
wait_etcd() {
  local i
  for ((i = 0; i < etcd_ready_s * 2; i++)); do
    ! etcd_urls=$etcd_url ctl endpoint health >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  die "etcd does not answer: journalctl -u bramble-etcd"
}

# --- all of it ----------------------------------------------------------------------------------
write_etcd_units() { # answers whether anything changed
  local unit changed=1
  for unit in bramble-etcd.service bramble-etcd-snapshot.service bramble-etcd-snapshot.timer; do
    ! put "$here/$unit" "/etc/systemd/system/$unit" 644 || changed=0
  done
  [ $changed != 0 ] || act "read units again" systemctl daemon-reload
  for unit in bramble-etcd.service bramble-etcd-snapshot.timer; do
    if systemctl is-enabled --quiet $unit 2>/dev/null; then continue; fi
    act "start $unit with the machine" systemctl enable --quiet $unit
    note "enabled $unit"
  done
  return $changed
}
start_etcd() { # $1: whether what it runs from changed
  if ! systemctl is-active --quiet bramble-etcd.service; then
    act "start etcd" systemctl start bramble-etcd.service
    note "started bramble-etcd.service"
  elif [ "$1" = 0 ]; then
    act "restart etcd" systemctl restart bramble-etcd.service
  fi
  if ! systemctl is-active --quiet bramble-etcd-snapshot.timer; then
    act "take a snapshot every six hours" systemctl start bramble-etcd-snapshot.timer
    note "started bramble-etcd-snapshot.timer"
  fi
  [ -z "$dry" ] || return 0
  promote
  wait_etcd
}
move_state() { # what a server of SQLite has gathered here
  [ -e "$(data_dir)/state.db" ] && [ ! -e "$(data_dir)/moved-to" ] || return 0
  ! running || act "stop bramble (pods run on)" service stop
  act "move the cluster's state to etcd" "$new" migrate --to "etcd=$etcd_url" --data-dir "$(data_dir)" \
    --etcd-cafile $etcd_dir/ca.crt --etcd-certfile $etcd_dir/member.crt --etcd-keyfile $etcd_dir/member.key
}
setup_etcd() {
  local changed=1
  systemd || die "--etcd needs systemd"
  [ -z "$etcd_join" ] || [ -s "$etcd_join" ] || die "no file $etcd_join: bring $etcd_dir/join of a server that runs"
  [ -z "$etcd_join" ] || [ -n "$(joined ca.key)" ] || die "$etcd_join is not $etcd_dir/join of a server"
  etcd_name=$(member_name)
  etcd_url=https://$(member_address):2379 etcd_peer=https://$(member_address):2380
  [ -z "$(env_of ETCD_NAME)" ] || [ "$(env_of ETCD_LISTEN_PEER_URLS)" = "$etcd_peer" ] ||
    die "this member is known at $(env_of ETCD_LISTEN_PEER_URLS), not at $etcd_peer: it needs an address that stays"
  etcd_urls=$etcd_url
  [ -z "$etcd_join" ] || etcd_urls=$(joined member | paste -sd,)
  ! install_etcd || changed=0
  make_dir $etcd_dir 700
  make_dir $etcd_data 700
  make_dir $etcd_data/snapshots 700
  [ -e $etcd_dir/member.crt ] || act "make the certificates of etcd" make_certificates "$etcd_name" "$(member_address)"
  if ! has_member; then
    if [ -n "$etcd_join" ]; then
      [ -n "$start" ] || die "a further member is started at once: without --no-start"
      act "add this machine to the etcd${etcd_replace:+ in the place of $etcd_replace}" add_member
    else
      write_env "$etcd_name=$etcd_peer" new
    fi
  elif [ ! -e $etcd_dir/etcd.env ]; then # its data was kept
    write_env "$etcd_name=$etcd_peer" existing
  fi
  [ ! -e $etcd_data/kept ] || [ ! -e $etcd_dir/etcd.env ] || act "forget what was kept to start it again" rm -rf $etcd_data/kept
  ! write_etcd_units || changed=0
  put "$here/etcd.sh" $lib/etcd.sh 755 || true
  [ -z "$start" ] || start_etcd $changed
  [ -z "$start" ] || [ -n "$dry" ] || etcd_urls=$(client_urls)
  [ -n "$start" ] || [ -z "$(setting_of datastore)" ] || etcd_urls=$(setting_of datastore | sed 's/^etcd=//')
  [ -n "$etcd_join" ] || move_state
  settings+=("datastore=etcd=$etcd_urls" "etcd-cafile=$etcd_dir/ca.crt" "etcd-certfile=$etcd_dir/member.crt"
    "etcd-keyfile=$etcd_dir/member.key")
  [ -z "$etcd_join" ] || settings+=("server-token=$(joined server-token)")
}
write_join() { # what a further board needs
  local file
  file=$(mktemp)
  {
    echo "ca.crt $(base64 -w 0 $etcd_dir/ca.crt)"
    echo "ca.key $(base64 -w 0 $etcd_dir/ca.key)"
    echo "server-token $(cat "$(data_dir)/server-token")"
    members | cut -d, -f5 | sed '/./s/^/member /'
  } >"$file"
  put "$file" $etcd_dir/join 600 || true
  rm -f "$file"
}
