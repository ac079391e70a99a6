# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: what others reach through a guest agent, and channels.

``procedures`` says where the facts come from.
"""
