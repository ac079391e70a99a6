# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Events and jobs that come from outside: what changes them, in one transaction each."""
