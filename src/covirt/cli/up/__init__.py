# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``covirt up``: everything on one machine.

A supervisor keeps the daemons running (supervisor), each of which is on record with its pid and start time
(records). What the engine has to know of the machine is then told to it over its API, step by step (set_up); each
step looks first whether it is done, so a set-up that was killed is simply repeated.
"""
