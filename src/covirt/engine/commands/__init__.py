# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""What changes the engine's state: short changes, and durable operations that outlive a kill of the engine."""
