#!/bin/busybox sh
# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# PID 1 of the tiny guest: network, web page, power button, and a shell on the serial console.
# Understands on the kernel command line: guest.name=NAME guest.address=A.B.C.D/N guest.gateway=A.B.C.D guest.dhcp=1
busybox=/bin/busybox
$busybox mkdir -p /dev /proc /sys /tmp /run /www /var/run /var/log /etc/acpi/PWRF # acpid ends silently without /var/run, /var/log
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
$busybox --install -s /bin
export PATH=/bin
while read -r module; do
    insmod "/modules/$module"
done </modules/order
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts

name=guest address='' gateway='' dhcp=''
read -r command_line </proc/cmdline
for word in $command_line; do
    case $word in
        guest.name=*) name=${word#*=} ;;
        guest.address=*) address=${word#*=} ;;
        guest.gateway=*) gateway=${word#*=} ;;
        guest.dhcp=*) dhcp=${word#*=} ;;
    esac
done

hostname "$name"
ip link set lo up
if [ -n "$address" ]; then
    ip link set eth0 up
    ip address add "$address" dev eth0
    [ -n "$gateway" ] && ip route add default via "$gateway"
elif [ -n "$dhcp" ]; then
    ip link set eth0 up
    udhcpc -b -q -T 1 -t 20 -i eth0 -s /dhcp
fi
echo "hello from a virtual machine" >/www/index.html
httpd -h /www

printf '#!/bin/sh\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid -f -c /etc/acpi >/dev/null 2>&1 &
acpid=$!
for _ in $(seq 100); do # a power button that is pressed before it listens is not heard
    # shellcheck disable=SC2010 # its names are plain numbers
    ls -l /proc/$acpid/fd | grep -q /dev/input && break
    sleep 0.1
done

echo "GUEST-BOOTED $name"
[ -x /start ] && /start /dev/vda
while :; do
    setsid cttyhack sh
done
