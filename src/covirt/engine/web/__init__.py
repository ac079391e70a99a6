# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine answers beside its API: single sign-on, its certificate, its health."""
