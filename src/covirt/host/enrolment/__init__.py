# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""How a host gets its certificate from an engine, and a new one in time (docs/enrolment.md)."""
