# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: storage pools and volumes.

``procedures`` says where the facts come from.
"""
