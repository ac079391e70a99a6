# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The contract between an engine and a host: verbs, models, statuses and error codes, which are Vdsm's."""
