# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Python imports this at its start where the add-on's directory is in PYTHONPATH: in Vdsm and in what Vdsm starts.

Nothing but a note is left here. It counts when Vdsm's program imports Vdsm's module, and never otherwise.
"""

from covirt_vdsm import finder

finder.wait_for_vdsm()
