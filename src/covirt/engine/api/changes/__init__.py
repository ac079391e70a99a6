# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What the API changes: from a request's body to a change of the engine's objects."""
