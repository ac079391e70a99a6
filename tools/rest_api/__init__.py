# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""docs/rest-api.md: what of oVirt's REST API covirt answers."""
