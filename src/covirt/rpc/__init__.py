# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0 over STOMP 1.2 over mutual TLS, as Vdsm and its engine speak it; knows no domain word."""
