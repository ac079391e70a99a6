# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""placeholder"""

from covirt.oci.image.reference import Source
from covirt.oci.image.workdir import WorkDir


def aci_layout(source: Source, work: WorkDir) -> Source:
    raise NotImplementedError
