# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What is there after a reboot of the machine that tests/vm/test_host.py left."""
