# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What virtocid answers to every procedure of libvirt's protocol, out of its own tables: ``docs/conformance.md``."""
