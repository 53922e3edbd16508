#!/bin/busybox sh
# First process of the lab guest: loads the modules named on the kernel command line, then obeys the host line by line.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec > /dev/console 2>&1
mount -t tmpfs -o size=90% tmpfs /tmp
for word in $(cat /proc/cmdline); do
  case $word in
    lab.modules=*) modules=${word#lab.modules=} ;;
    lab.disk=*) disk=/dev/${word#lab.disk=} ;;
  esac
done
for module in $(echo "$modules" | tr , ' '); do
  insmod "/lib/modules/$module.ko" || echo "cannot load $module"
done
ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  ip addr add 10.77.0.2/24 dev eth0
fi
tries=0
while [ ! -b "$disk" ] && [ $tries -lt 200 ]; do
  usleep 50000
  tries=$((tries + 1))
done

now() { # hundredths of a second since boot, without starting a process
  read -r up _ < /proc/uptime
  now=${up%.*}${up#*.}
}

ledger_load() { # $1 reads and $2 writes of 4 KiB a second, open loop; every 10 s a 16 MiB file is written, the last one deleted
  now
  due=$now
  turn=0
  while :; do
    at=$((turn * 37 % 3800))
    dd if=/data/ledger of=/dev/null bs=4k count="$1" skip=$at iflag=direct 2> /dev/null
    dd if=/dev/zero of=/data/ledger bs=4k count="$2" seek=$at oflag=direct conv=notrunc,fsync 2> /dev/null
    if [ $((turn % 10)) -eq 0 ]; then
      dd if=/dev/zero of="/data/file.$((turn / 10 % 2))" bs=64k count=256 conv=fsync 2> /dev/null
      rm -f "/data/file.$(((turn / 10 + 1) % 2))"
    fi
    turn=$((turn + 1))
    due=$((due + 100))
    now
    [ $due -gt "$now" ] && usleep $(((due - now) * 10000))
  done
}

files_load() { # $1 files of 16 MiB, one half of a file read a second through the page cache, one after another
  now
  due=$now
  turn=0
  while :; do
    dd if="/data/files/$((turn / 2 % $1))" of=/dev/null bs=64k count=128 skip=$((turn % 2 * 128)) 2> /dev/null
    turn=$((turn + 1))
    due=$((due + 100))
    now
    [ $due -gt "$now" ] && usleep $(((due - now) * 10000))
  done
}

stty -F /dev/ttyS1 raw -echo
exec 3<> /dev/ttyS1
echo "@READY $(uname -r)" >&3
while read -r command first second <&3; do
  case $command in
    snap)
      { read -r _ total _; read -r _ free _; read -r _ available _; } < /proc/meminfo
      echo "@SNAP $total $free $available" >&3
      ;;
    fill) # touch memory and give it back, as services do while they start
      dd if=/dev/zero of=/tmp/fill bs=1M count="$first" 2> /dev/null
      rm -f /tmp/fill
      echo "@FILL done" >&3
      ;;
    ledger)
      mke2fs -F -m 0 -b 4096 -i 262144 "$disk" > /dev/null 2>&1
      mkdir -p /data
      mount -t ext4 -o noatime "$disk" /data || mount -t ext2 -o noatime "$disk" /data
      dd if=/dev/zero of=/data/ledger bs=64k count=256 conv=fsync 2> /dev/null
      ledger_load "$first" "$second" &
      echo "@LEDGER started" >&3
      ;;
    files) # a set of files that stays in the page cache: MiB
      mkdir -p /data/files
      number=0
      while [ $number -lt $((first / 16)) ]; do
        dd if=/dev/zero of="/data/files/$number" bs=64k count=256 2> /dev/null
        number=$((number + 1))
      done
      sync
      files_load $number &
      echo "@FILES started" >&3
      ;;
    read) # direct reads: count, block size
      dd if="$disk" of=/dev/null bs="$second" count="$first" iflag=direct 2> /dev/null
      echo "@READ $?" >&3
      ;;
    write)
      dd if=/dev/zero of="$disk" bs="$second" count="$first" oflag=direct conv=notrunc 2> /dev/null
      echo "@WRITE $?" >&3
      ;;
    off)
      echo "@OFF" >&3
      poweroff -f
      ;;
    *) echo "@UNKNOWN $command" >&3 ;;
  esac
done
