# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every verb that covirt-host can answer, out of the models of covirt.hostapi: ``docs/host-api.md``."""
