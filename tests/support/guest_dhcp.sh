#!/bin/busybox sh
# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154  # udhcpc sets interface, ip, mask and router
# What udhcpc calls in the tiny guest when it has a lease.
case $1 in
    bound | renew)
        ip address flush dev "$interface"
        ip address add "$ip/$mask" dev "$interface"
        [ -n "$router" ] && ip route add default via "${router%% *}"
        ;;
esac
exit 0
