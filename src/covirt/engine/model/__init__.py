# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine knows of: plain facts, without SQL and HTTP."""
