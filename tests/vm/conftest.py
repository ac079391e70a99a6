# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""These tests act on the machine itself, as its administrator would: they are for a machine that may be spoilt."""

import os

collect_ignore_glob = [] if os.environ.get("COVIRT_INSTALLED") else ["test_*"]
