# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""The engine: what users want, kept in SQL, told over oVirt's REST API and made so on the hosts."""
