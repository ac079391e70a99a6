# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of virtocid, out of the dataclasses and comments of its configuration: ``docs/configuration.md``."""
