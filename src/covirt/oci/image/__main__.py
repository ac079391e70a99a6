# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m covirt.oci.image`` is ``virtocid-image``."""

from covirt.oci.image.cli import main

main()
