
# ---------------------------------------------------------------------------------------------------------------------
# Below is the same in every study. Options and output of qm: qemu-server, PVE/CLI/qm.pm and PVE/API2/Qemu.pm.

set -u -o pipefail
umask 077
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin # cron has neither, and qm is in one of them

STATE=${STATE:-/var/lib/virtio-study/$STUDY}
PATIENCE=${PATIENCE:-300} # seconds that a guest has to shut down, and to answer again after its start
TRIES=5      # times that what is put back is tried

KEPT='^((ide|sata|scsi|virtio)[0-9]+|net[0-9]+|scsihw|boot|bootdisk|balloon|machine): '

say() { printf '%s %s\n' "$(date '+%Y-%m-%dT%H:%M:%S%z')" "$*"; }

note() { # $1 number of the VM, then what happened: to the terminal and to the log
  local vmid=$1
  shift
  say "vm=$vmid $*" | tee -a "$STATE/log"
}

write() { # standard input to the file $1, whole or not at all
  cat > "$1.new" && sync "$1.new" && mv "$1.new" "$1"
}

# The configuration in force, as far as a study changes it; sizes of disks are Proxmox's to say, and what lies in a CD drive
# is the administrator's: only that the drive has its place is kept.
kept() {
  qm config "$1" --current 1 | grep -E "$KEPT" |
    sed -E 's/^([a-z]+[0-9]+: ).*,media=cdrom.*/\1cd,media=cdrom/; s/,size=[^,]*//' | sort
}

# The same, with the options of a device in one order, to compare.
ordered() {
  awk '{
    key = $1; sub(/^[^ ]* /, ""); n = split($0, part, ",")
    for (i = 2; i <= n; i++)
      for (j = i; j > 1 && part[j] < part[j - 1]; j--) { held = part[j]; part[j] = part[j - 1]; part[j - 1] = held }
    line = key
    for (i = 1; i <= n; i++) line = line " " part[i]
    print line
  }' "$@" | sort
}

# What a VM with the lines of the file $1 has under the driver configuration $2; fails where it cannot be had.
target() {
  # shellcheck disable=SC2046  # the fields of a declaration are words
  set -- "$1" $(declared | awk -v name="$2" '$1 == name { print $2, $3, $4, $5, $6, $7 }')
  [ $# -eq 7 ] || { echo "no such driver configuration" >&2; return 1; }
  awk -v bus="$2" -v hw="$3" -v card="$4" -v balloon="$5" -v thread="$6" -v machine="$7" '
    function refuse(why) { print why > "/dev/stderr"; failed = 1; exit 1 }
    function without(text, names,    part, n, i, line, name) {
      n = split(text, part, ","); line = part[1]
      for (i = 2; i <= n; i++) {
        name = part[i]; sub(/=.*/, "", name)
        if (index(names, " " name " ") == 0) line = line "," part[i]
      }
      return line
    }
    { key = $1; sub(/:$/, "", key); value = $0; sub(/^[^ ]* /, "", value); keys[++count] = key; values[key] = value }
    END {
      if (failed) exit 1
      most["ide"] = 4; most["sata"] = 6; most["scsi"] = 31; most["virtio"] = 16
      for (i = 1; i <= count; i++) {
        key = keys[i]; kind = key; sub(/[0-9]+$/, "", kind)
        if (!(kind in most)) continue
        value = values[key]
        if (value ~ /,media=cdrom/) { used[key] = 1; cd[key] = 1; continue }
        if (value !~ /^[A-Za-z][A-Za-z0-9._-]*:[^,]/ || value ~ /scsiblock=1/) refuse("unknown disk " key ": " value)
        disks[++number] = key
        if (bus == "-" || kind == bus) used[key] = 1
      }
      if (number == 0) refuse("it has no disk")
      for (i = 1; i <= number; i++) {
        key = disks[i]; kind = key; sub(/[0-9]+$/, "", kind); place = key
        if (bus != "-" && kind != bus) {
          for (slot = 0; slot < most[bus] && ((bus slot) in used); slot++) ;
          if (slot == most[bus]) refuse("no room for " key " among " most[bus] " disks of " bus)
          place = bus slot; used[place] = 1
        }
        to[key] = place; kind = place; sub(/[0-9]+$/, "", kind)
        value = values[key]
        if (kind == "ide" || kind == "sata") {
          if (value ~ /,ro=(1|on|yes|true)/) refuse("read-only disk " key ": " kind " has none")
          value = without(value, " iothread queues ro product vendor ")
        }
        if (kind == "virtio") value = without(value, " ssd wwn queues product vendor ")
        if (kind != "ide") value = without(value, " model ")
        if ((thread == "0" || thread == "1") && (kind == "scsi" || kind == "virtio")) {
          value = without(value, " iothread ")
          if (thread == "1") value = value ",iothread=1"
        }
        print place ": " value
      }
      for (i = 1; i <= count; i++) {
        key = keys[i]; value = values[key]
        if (key in to) continue
        if (key in cd) { print key ": " value; continue }
        if (key ~ /^net[0-9]+$/ && card != "-") {
          n = split(value, part, ","); found = 0; line = ""
          for (j = 1; j <= n; j++) {
            if (part[j] ~ /^[a-z0-9_-]+=[0-9A-Fa-f][0-9A-Fa-f]:[0-9A-Fa-f:]+$/ && part[j] !~ /^(bridge|macaddr|trunks)=/) {
              sub(/^[^=]*/, card, part[j]); found++
            }
            if (card != "virtio" && part[j] ~ /^(queues|mtu)=/) continue
            line = line (line == "" ? "" : ",") part[j]
          }
          if (found != 1) refuse("unknown card " key ": " value)
          value = line
        }
        if (key == "boot" || key == "bootdisk") {
          prefix = ""
          if (value ~ /^order=/) { prefix = "order="; sub(/^order=/, "", value) }
          n = split(value, part, ";"); line = ""
          for (j = 1; j <= n; j++) line = line (j > 1 ? ";" : "") ((part[j] in to) ? to[part[j]] : part[j])
          value = prefix line
        }
        if (key == "scsihw" && hw != "-") { old = value; continue }
        if (key == "balloon" && (balloon == "0" || (balloon == "1" && value == "0"))) continue
        if (key == "machine" && machine != "-") continue
        print key ": " value
      }
      if (hw == "virtio-scsi") hw = (old ~ /^virtio-scsi/ && thread != "1") ? old : "virtio-scsi-single"
      if (hw != "-") print "scsihw: " hw
      if (balloon == "0") print "balloon: 0"
      if (machine != "-") print "machine: " machine
    }' "$1" | sort
}

# The words of `qm set` that make the lines of the file $1 those of the file $2, one a line; none if they are the same.
changes() {
  awk 'NR == FNR { old[$1] = $0; next } { new[$1] = 1; if (!($1 in old) || old[$1] != $0) print $0 }
       END { for (key in old) if (!(key in new)) { sub(/:$/, "", key); print "- " key } }' "$1" "$2" | sort |
    awk '/^- / { gone = gone (gone == "" ? "" : ",") $2; next }
         { key = $1; sub(/:$/, "", key); sub(/^[^ ]* /, ""); print "--" key; print $0 }
         END { if (gone != "") { print "--delete"; print gone } }'
}

# Why a VM may not be touched; nothing if it may.
objections() {
  local vmid=$1 config ha replicated snapshots pending
  config=$(qm config "$vmid" --current 1) || { echo "it is not on this host, or qm does not answer"; return; }
  pending=$(qm pending "$vmid") || { echo "qm does not say what is pending"; return; }
  snapshots=$(qm listsnapshot "$vmid") || { echo "qm does not say its snapshots"; return; }
  ha=$(pvesh get /cluster/ha/resources --output-format json) || { echo "pvesh does not say what is under HA"; return; }
  replicated=$(pvesh get /cluster/replication --output-format json) || { echo "pvesh does not say what is replicated"; return; }
  grep -qE '^lock: ' <<< "$config" && echo "it is locked: $(grep -E '^lock: ' <<< "$config")"
  grep -qE '^template: 1' <<< "$config" && echo "it is a template"
  grep -qE '^protection: 1' <<< "$config" && echo "it is protected, so that its disks cannot be moved"
  grep -qE '^(new|del) ' <<< "$pending" && echo "it has pending changes"
  [ -z "$(sed -E '/-> current /d; /^[[:space:]]*$/d' <<< "$snapshots")" ] || echo "it has snapshots"
  grep -qE "\"sid\" *: *\"(vm:)?$vmid\"" <<< "$ha" && echo "it is under HA"
  grep -qE "\"guest\" *: *\"?$vmid\"?[,} ]" <<< "$replicated" && echo "it is replicated"
}

status() { qm status "$1" | sed -n 's/^status: //p'; }

# Whether the VM $1 has the configuration of the file $2, nothing pending, and every volume of its original.
has() {
  local now pending volume
  now=$(kept "$1" | ordered) && [ "$now" = "$(ordered "$2")" ] || return 1
  pending=$(qm pending "$1") && ! grep -qE '^(new|del) ' <<< "$pending" || return 1
  while read -r volume; do
    grep -qF -- " $volume" <<< "$(kept "$1")" || return 1
  done < <(grep -E '^(ide|sata|scsi|virtio)[0-9]+: ' "$STATE/$1.original" | sed -E 's/^[^ ]* ([^,]*).*/\1/' | grep -v '^cd$')
}

configure() { # gives the stopped VM $1 the configuration of the file $2
  local words pending
  pending=$(qm pending "$1" | awk '/^(new|del) / { sub(/:$/, "", $2); print $2 }') || return 1
  if [ -n "$pending" ]; then qm set "$1" --revert "$(paste -sd , <<< "$pending")" > /dev/null || return 1; fi
  kept "$1" > "$STATE/$1.found" || return 1
  mapfile -t words < <(changes "$STATE/$1.found" "$2")
  [ ${#words[@]} -eq 0 ] || qm set "$1" "${words[@]}" > /dev/null || return 1
  has "$1" "$2"
}

# Whether the VM $1 runs with the first disk of the file $2, and its guest answers, where it has the agent.
lives() {
  local disk shown config waited=0
  disk=$(awk '/^(ide|sata|scsi|virtio)[0-9]+: / && !/media=cdrom/ && !disk { disk = $1 } END { print disk }' "$2")
  # what is searched is held first: a program whose reader leaves early has failed, with pipefail
  shown=$(qm status "$1" --verbose) && grep -qE "^[[:space:]]+$disk" <<< "$shown" || return 1
  config=$(qm config "$1" --current 1) || return 1
  grep -qE '^agent: (.*,)?(enabled=)?1(,|$)' <<< "$config" || { note "$1" "its guest is not asked: no agent"; return 0; }
  until qm guest cmd "$1" ping > /dev/null 2>&1; do
    [ "$waited" -lt "$PATIENCE" ] || return 1
    sleep 5
    waited=$((waited + 5))
  done
}

put_back() { # what the VM $1 had before the switch that failed, which is in its file `before`
  local try
  for ((try = 0; try < TRIES; try++)); do
    [ "$try" -eq 0 ] || sleep 10
    if has "$1" "$STATE/$1.before"; then
      [ "$(status "$1")" = running ] || qm start "$1" > /dev/null
    else
      if [ "$(status "$1")" != stopped ]; then
        qm shutdown "$1" --timeout 120 > /dev/null || qm stop "$1" > /dev/null
      fi
      [ "$(status "$1")" = stopped ] && configure "$1" "$STATE/$1.before" && qm start "$1" > /dev/null
    fi
    if has "$1" "$STATE/$1.before" && [ "$(status "$1")" = running ]; then
      write "$STATE/$1.left" < "$STATE/$1.before"
      note "$1" "the configuration before was put back and the VM runs"
      return 0
    fi
  done
  note "$1" "NEEDS YOU: the configuration before could not be put back; it is in $STATE/$1.before, and the next run tries again"
  return 1
}

refused() { # says why the VM $1 may not be touched now; fails if it may
  local why
  why=$(objections "$1")
  if [ -z "$why" ] && [ "$(status "$1")" != running ]; then why="it does not run"; fi
  if [ -z "$why" ] && [ -e "$STATE/$1.left" ] && ! has "$1" "$STATE/$1.left"; then
    why="somebody changed its devices since this script left them"
  fi
  [ -n "$why" ] || return 1
  why="block=$2 refused: ${why//$'\n'/; }"
  [ "$why" = "$(cat "$STATE/$1.refused" 2> /dev/null)" ] || note "$1" "$why"
  write "$STATE/$1.refused" <<< "$why"
}

keep() { # what the VM $1 has now, in its file $2
  local lines
  lines=$(kept "$1") || { note "$1" "refused: qm does not say its configuration"; return 1; }
  write "$STATE/$1.$2" <<< "$lines"
}

switch() { # the VM $1, for the block $2, to the lines of the file $3, which has the name $4
  local vmid=$1 block=$2 wanted=$3 name=$4
  keep "$vmid" before || return 1
  echo "doing $block" | write "$STATE/$vmid.state"
  note "$vmid" "block=$block begins: $name"
  if ! qm shutdown "$vmid" --timeout "$PATIENCE" > /dev/null || [ "$(status "$vmid")" != stopped ]; then
    note "$vmid" "block=$block failed: the guest did not shut down in $PATIENCE s"
  elif ! configure "$vmid" "$wanted"; then
    note "$vmid" "block=$block failed: the configuration was not taken"
  elif ! qm start "$vmid" > /dev/null; then
    note "$vmid" "block=$block failed: it did not start"
  elif [ "$(status "$vmid")" != running ] || ! has "$vmid" "$wanted" || ! lives "$vmid" "$wanted"; then
    note "$vmid" "block=$block failed: it does not run as declared, or its guest does not answer"
  else
    write "$STATE/$vmid.left" < "$wanted"
    echo "done $block" | write "$STATE/$vmid.state"
    note "$vmid" "block=$block done: $name"
    return 0
  fi
  put_back "$vmid" && echo "failed $block" | write "$STATE/$vmid.state"
  return 1
}

run() { # what is due for the VM $1 now
  local vmid=$1 state found block latest name now last
  now=$(date +%s)
  state=$(cat "$STATE/$vmid.state" 2> /dev/null)
  if [ "${state%% *}" = doing ]; then
    note "$vmid" "block=${state#* } was broken off"
    put_back "$vmid" || return 1
    state="failed ${state#* }"
    echo "$state" | write "$STATE/$vmid.state"
  fi
  # restored is restored; and what could not be is tried again when a person asks
  if [ "$state" = "done end" ] || { [ "$state" = "failed end" ] && [ "$RESTORE" = 0 ]; }; then return 0; fi
  last=$(schedule | awk -v vm="$vmid" '$1 == vm && $5 > end { end = $5 } END { print end }')
  if [ "$now" -ge "$last" ] || [ "$RESTORE" = 1 ]; then
    [ -e "$STATE/$vmid.original" ] || return 0
    refused "$vmid" end && return 1
    switch "$vmid" end "$STATE/$vmid.original" "as it was before the study"
    return
  fi
  found=$(schedule | awk -v vm="$vmid" -v now="$now" '$1 == vm && $3 <= now && now < $5 { print $2, $4, $6 }')
  [ -n "$found" ] || return 0
  read -r block latest name <<< "$found"
  if [ "$state" = "failed $block" ] && [ "$(status "$vmid")" = stopped ]; then
    note "$vmid" "block=$block: the guest shut down after all, and is started again"
    qm start "$vmid" > /dev/null
    return
  fi
  [ "${state#* }" != "$block" ] || return 0
  if [ "$now" -gt "$latest" ]; then
    note "$vmid" "block=$block missed: it is too late for a restart"
    echo "missed $block" | write "$STATE/$vmid.state"
    return 1
  fi
  refused "$vmid" "$block" && return 1
  if [ ! -e "$STATE/$vmid.original" ]; then
    keep "$vmid" original || return 1
  fi
  if ! target "$STATE/$vmid.original" "$name" > "$STATE/$vmid.wanted" 2> "$STATE/$vmid.why"; then
    note "$vmid" "block=$block refused: $(cat "$STATE/$vmid.why")"
    return 1
  fi
  switch "$vmid" "$block" "$STATE/$vmid.wanted" "$name"
}

show() { # what would be done with the VM $1, and what speaks against it; changes nothing
  local vmid=$1 why name here
  here=$(mktemp -d) || return 1
  echo "== VM $vmid: $(qm config "$vmid" --current 1 2> /dev/null | sed -n 's/^name: //p')"
  why=$(objections "$vmid")
  [ -z "$why" ] || echo "refused: ${why//$'\n'/; }"
  if kept "$vmid" > "$here/original" 2> /dev/null; then
    if [ -e "$STATE/$vmid.original" ]; then cp "$STATE/$vmid.original" "$here/original"; fi
    for name in $(schedule | awk -v vm="$vmid" '$1 == vm { print $6 }' | sort -u); do
      if target "$here/original" "$name" > "$here/wanted" 2> "$here/why"; then
        echo "$name: qm set $vmid $(changes "$here/original" "$here/wanted" | tr '\n' ' ')"
      else
        echo "$name: refused: $(cat "$here/why")"
      fi
    done
  fi
  schedule | awk -v vm="$vmid" '$1 == vm' | while read -r _ block start _ _ name; do
    echo "$(date -d "@$start" '+%Y-%m-%d %H:%M %z') block $block: $name"
  done
  rm -rf "$here"
}

act() { # does what is due for every VM of the schedule
  local vmid failures=0
  mkdir -p "$STATE" || exit 1
  exec 9> "$STATE/lock"
  flock -n 9 || { echo "another run is at work" >&2; exit 0; }
  for vmid in $(vms); do run "$vmid" || failures=1; done
  exit "$failures"
}

vms() { schedule | awk '{ print $1 }' | sort -un; }

RESTORE=0
case "${1-}" in
  '') for vmid in $(vms); do show "$vmid"; done ;;
  --run) act ;;
  --restore) RESTORE=1 && act ;;
  *) echo "usage: $0 [--run | --restore]; without an option it shows what it would do and changes nothing" >&2 && exit 2 ;;
esac
