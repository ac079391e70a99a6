# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of libvirt's remote protocol: storage pools and volumes.

``procedures`` says where the facts come from.
"""

from types import NoneType
from typing import Final

from covirt.wire import structs_host as h
from covirt.wire import structs_storage as st
from covirt.wire.declare import read, write

STORAGE_POOL_LOOKUP_BY_VOLUME: Final = read(
    86, "storage_pool_lookup_by_volume", h.StorageVolArgs, h.StoragePoolRet, priority=True
)
STORAGE_POOL_LIST_VOLUMES: Final = read(
    92, "storage_pool_list_volumes", st.StoragePoolListVolumesArgs, st.StoragePoolListVolumesRet, priority=True
)
STORAGE_VOL_DELETE: Final = write(94, "storage_vol_delete", h.StorageVolFlagsArgs, NoneType)
STORAGE_VOL_DOWNLOAD: Final = write(209, "storage_vol_download", st.StorageVolTransferArgs, NoneType, stream=True)
