# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine is to its host: custom properties, domain XML, MAC addresses, what each kind can do."""
