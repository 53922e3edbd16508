#!/usr/bin/env bash
# A stand-in for Proxmox VE's qm and pvesh, with the options and the output that qemu-server gives them (PVE/CLI/qm.pm,
# PVE/API2/Qemu.pm), for a VM whose configuration is the file $FAKE/<vmid>.conf. The call number $FAIL_AT goes wrong:
# `before` it does anything, `after` it did all, `half` way through a `set`, or the caller is killed (`cut`).

vmid=
declare -A conf pending
order=()

calls=0
[ -e "$FAKE/calls" ] && calls=$(<"$FAKE/calls")
calls=$((calls + 1))
echo "$calls" > "$FAKE/calls"
echo "$calls ${0##*/} $*" >> "$FAKE/asked"
wrong=
[ "$calls" = "${FAIL_AT:-}" ] && wrong=${HOW:-before}
if [ -n "${ALWAYS:-}" ] && [[ "${0##*/} $*" == *$ALWAYS* ]]; then wrong=before; fi
[ "$wrong" = before ] && { echo "stand-in: it fails" >&2; exit 255; }
if [ "$wrong" = cut ]; then kill -9 "$(<"$FAKE/caller")"; exit 255; fi

die() { echo "$*" >&2; exit 255; }

load() {
  vmid=$1
  [[ $vmid =~ ^[0-9]+$ ]] || die "400 Parameter verification failed. vmid"
  [ -e "$FAKE/$vmid.conf" ] || die "Configuration file 'nodes/pve/qemu-server/$vmid.conf' does not exist"
  local line into=conf
  while IFS= read -r line; do
    if [ "$line" = '[PENDING]' ]; then into=pending; continue; fi
    [ -n "$line" ] || continue
    if [ "$into" = conf ]; then conf[${line%%: *}]=${line#*: }; else pending[${line%%: *}]=${line#*: }; fi
  done < "$FAKE/$vmid.conf"
}

save() {
  local key other used
  for key in "${!conf[@]}"; do # a volume that is added again is not unused any more
    [[ $key == unused* ]] || continue
    used=${conf[$key]}
    for other in "${!conf[@]}"; do
      [[ $other =~ ^(ide|sata|scsi|virtio)[0-9]+$ && ${conf[$other]%%,*} == "$used" ]] && unset "conf[$key]" && break
    done
  done
  {
    for key in "${!conf[@]}"; do echo "$key: ${conf[$key]}"; done
    [ ${#pending[@]} -eq 0 ] || echo '[PENDING]'
    for key in "${!pending[@]}"; do echo "$key: ${pending[$key]}"; done
  } > "$FAKE/$vmid.conf"
}

apply() {
  local key number
  for key in ${pending[delete]//,/ }; do
    if [[ $key =~ ^(ide|sata|scsi|virtio)[0-9]+$ && -n ${conf[$key]-} ]]; then
      number=0
      while [ -n "${conf[unused$number]-}" ]; do number=$((number + 1)); done
      conf[unused$number]=${conf[$key]%%,*}
    fi
    unset "conf[$key]"
  done
  unset 'pending[delete]'
  [ "$wrong" = half ] && { save; die "stand-in: it fails half way"; }
  for key in "${!pending[@]}"; do conf[$key]=${pending[$key]}; done
  pending=()
}

set_() {
  local key value named
  while [ $# -gt 0 ]; do
    key=${1#--} value=$2
    shift 2 || die "Option $key requires an argument"
    case $key in
      delete) pending[delete]=$value ;;
      revert) for named in ${value//,/ }; do unset "pending[$named]"; [ "$named" = delete ] || pending[delete]=$(printf '%s' "${pending[delete]-}" | tr , '\n' | grep -vx "$named" | paste -sd ,); done
        [ -n "${pending[delete]-}" ] || unset 'pending[delete]' ;;
      ide[0-3] | sata[0-5] | scsi[0-9]* | virtio[0-9]*)
        [[ $key == ide* || $key == sata* ]] && [[ $value == *iothread* ]] && die "400 Parameter verification failed. $key: invalid format - format error iothread: property is not defined in schema"
        [[ $key != ide* && $value == *,model=* ]] && die "400 Parameter verification failed. $key: invalid format - format error model: property is not defined in schema"
        [[ $key == virtio* ]] && [[ $value == *,ssd=* ]] && die "400 Parameter verification failed. $key: invalid format - ssd"
        [[ $value == none* || $value == *media=cdrom* ]] || grep -qxF -- "${value%%,*}" "$FAKE/volumes" || die "volume '${value%%,*}' does not exist"
        [[ $value == *media=cdrom* ]] || value+=,size=32G
        pending[$key]=$value ;;
      net[0-9]*) [[ $value =~ ^(virtio|e1000|rtl8139|vmxnet3)=([0-9A-F]{2}:){5}[0-9A-F]{2}, ]] || die "400 invalid $key"
        pending[$key]=$value ;;
      scsihw) [[ $value =~ ^(lsi|lsi53c810|virtio-scsi-pci|virtio-scsi-single|megasas|pvscsi)$ ]] || die "400 invalid scsihw"
        pending[$key]=$value ;;
      boot | bootdisk | machine) pending[$key]=$value ;;
      balloon) [[ $value =~ ^[0-9]+$ ]] || die "400 invalid balloon"; pending[$key]=$value ;;
      *) die "Unknown option: $key" ;;
    esac
  done
  if [[ ${pending[boot]-} == order=* ]]; then
    value=${pending[boot]#order=}
    for named in ${value//;/ }; do
      [[ -n ${conf[$named]-}${pending[$named]-} && ,${pending[delete]-}, != *,$named,* ]] || die "invalid bootorder: device '$named' does not exist'"
    done
  fi
  if [ ! -e "$FAKE/$vmid.running" ]; then apply; fi
  save
}

case "${0##*/} ${1-}" in
  "pvesh get")
    [ "$3 $4" = "--output-format json" ] || die "Unknown option"
    case $2 in
      /cluster/ha/resources) cat "$FAKE/ha" ;;
      /cluster/replication) cat "$FAKE/replication" ;;
      *) die "No '$2' handler defined" ;;
    esac ;;
  "qm config")
    [ "${3-} ${4-}" = "--current 1" ] || [ $# -eq 2 ] || die "Unknown option"
    load "$2"
    for key in "${!conf[@]}"; do echo "$key: ${conf[$key]}"; done | sort ;;
  "qm pending")
    [ $# -eq 2 ] || die "too many arguments"
    load "$2"
    for key in "${!conf[@]}"; do echo "cur $key: ${conf[$key]}"; done
    for key in "${!pending[@]}"; do [ "$key" = delete ] || echo "new $key: ${pending[$key]}"; done
    for key in ${pending[delete]//,/ }; do echo "del $key: 1"; done ;;
  "qm listsnapshot")
    [ $# -eq 2 ] || die "too many arguments"
    load "$2"
    [ -e "$FAKE/$vmid.snapshots" ] && cat "$FAKE/$vmid.snapshots"
    echo "\`-> current                                             You are here!" ;;
  "qm status")
    load "$2"
    state=stopped
    [ -e "$FAKE/$vmid.running" ] && state=running
    case "${3-}" in
      "") echo "status: $state" ;;
      --verbose)
        echo "blockstat:"
        for key in "${!conf[@]}"; do [[ $key =~ ^(ide|sata|scsi|virtio)[0-9]+$ ]] && printf '\t%s:\n\t\trd_operations: 1\n' "$key"; done
        echo "status: $state" ;;
      *) die "Unknown option" ;;
    esac ;;
  "qm set") load "$2"; shift 2; [ $# -gt 0 ] || die "no options specified"; set_ "$@" ;;
  "qm shutdown")
    [ "${3-}" = --timeout ] || die "Unknown option"
    load "$2"
    [ -e "$FAKE/$vmid.running" ] || die "VM $vmid not running"
    [ -e "$FAKE/$vmid.deaf" ] && die "VM quit/powerdown failed - got timeout"
    rm "$FAKE/$vmid.running"
    [ ${#pending[@]} -eq 0 ] || { apply; save; } ;;
  "qm stop") load "$2"; rm -f "$FAKE/$vmid.running" ;;
  "qm start")
    load "$2"
    [ ! -e "$FAKE/$vmid.running" ] || die "VM $vmid already running"
    : > "$FAKE/$vmid.running" ;;
  "qm guest")
    [ "$2 ${4-}" = "cmd ping" ] || die "Unknown option"
    load "$3"
    [ -e "$FAKE/$vmid.running" ] || die "VM $vmid is not running"
    [[ -e $FAKE/$vmid.needs-ide && -z ${conf[ide0]-} ]] && die "QEMU guest agent is not running"
    : ;;
  *) die "ERROR: unknown command '${0##*/} ${1-}'" ;;
esac
code=$?
[ "$wrong" = after ] && exit 255
exit "$code"
