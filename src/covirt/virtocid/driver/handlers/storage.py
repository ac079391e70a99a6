# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures of storage pools and volumes: the one pool ``images``, whose volumes are container images."""

from typing import Final
from uuid import UUID

from covirt.oci.image.model import ContainerImage
from covirt.virtocid.dispatch import Context, HandlerTable
from covirt.virtocid.driver.disk_facts import disk_size
from covirt.virtocid.driver.driver import Driver
from covirt.virtocid.driver.errors import NotSupported
from covirt.virtocid.driver.handlers.flags import refuse_unknown
from covirt.virtocid.driver.image_pool import POOL
from covirt.virtocid.driver.kept_volumes import KEPT_POOL
from covirt.wire import procedures as proc
from covirt.wire import procedures_storage as storage
from covirt.wire import structs as s
from covirt.wire import structs_connect as c
from covirt.wire import structs_host as h
from covirt.wire import structs_storage as st

_RUNNING: Final = 2  # VIR_STORAGE_POOL_RUNNING
_VOLUME_FILE: Final = 0  # VIR_STORAGE_VOL_FILE
# VIR_CONNECT_LIST_STORAGE_POOLS_*, in groups: a group with no bit set does not filter, else ours must be among them,
# which is active, persistent, started by itself, and a directory.
_LIST_GROUPS: Final = ((1 | 2, 2), (4 | 8, 4), (16 | 32, 16), (0x3FFF << 6, 1 << 6))
_LIST_KNOWN: Final = (1 << 20) - 1
_XML_INACTIVE: Final = 1  # VIR_STORAGE_XML_INACTIVE
_DELETE_KNOWN: Final = 1 | 2  # zeroed (what is not secret needs none), with snapshots (there are none)
_PHYSICAL: Final = 1  # VIR_STORAGE_VOL_GET_PHYSICAL
_CAPABILITIES: Final = "<storagepoolCapabilities><pool type='dir' supported='yes'/></storagepoolCapabilities>"


class StorageHandlers:
    """virsh pool-list, vol-list, vol-dumpxml, vol-download, vol-delete and their kin."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._pool = driver.image_pool

    def register(self, table: HandlerTable) -> None:
        table.add(proc.CONNECT_NUM_OF_STORAGE_POOLS, lambda _ctx, _args: s.NumRet(num=1))
        table.add(proc.CONNECT_LIST_STORAGE_POOLS, self.list_names)
        table.add(proc.CONNECT_NUM_OF_DEFINED_STORAGE_POOLS, lambda _ctx, _args: s.NumRet(num=0))
        table.add(proc.CONNECT_LIST_DEFINED_STORAGE_POOLS, lambda _ctx, _args: s.NamesRet(names=()))
        table.add(proc.CONNECT_LIST_ALL_STORAGE_POOLS, self.list_pools)
        table.add(proc.CONNECT_GET_STORAGE_POOL_CAPABILITIES, self.capabilities)
        table.add(proc.STORAGE_POOL_LOOKUP_BY_NAME, self.pool_by_name)
        table.add(proc.STORAGE_POOL_LOOKUP_BY_UUID, self.pool_by_uuid)
        table.add(storage.STORAGE_POOL_LOOKUP_BY_VOLUME, self.pool_by_volume)
        table.add(proc.STORAGE_POOL_GET_INFO, self.pool_info)
        table.add(proc.STORAGE_POOL_GET_XML_DESC, self.pool_xml)
        table.add(proc.STORAGE_POOL_GET_AUTOSTART, self.pool_autostart)
        table.add(proc.STORAGE_POOL_IS_ACTIVE, self.pool_is_active)
        table.add(proc.STORAGE_POOL_IS_PERSISTENT, self.pool_is_persistent)
        table.add(proc.STORAGE_POOL_REFRESH, self.refresh)
        table.add(proc.STORAGE_POOL_NUM_OF_VOLUMES, self.volume_count)
        table.add(storage.STORAGE_POOL_LIST_VOLUMES, self.volume_names)
        table.add(proc.STORAGE_POOL_LIST_ALL_VOLUMES, self.list_volumes)
        table.add(proc.STORAGE_VOL_LOOKUP_BY_NAME, self.volume_by_name)
        table.add(proc.STORAGE_VOL_LOOKUP_BY_KEY, self.volume_by_key)
        table.add(proc.STORAGE_VOL_LOOKUP_BY_PATH, self.volume_by_path)
        table.add(proc.STORAGE_VOL_GET_INFO, lambda _ctx, args: self._info(args.vol))
        table.add(proc.STORAGE_VOL_GET_INFO_FLAGS, self.volume_info_flags)
        table.add(proc.STORAGE_VOL_GET_XML_DESC, self.volume_xml)
        table.add(proc.STORAGE_VOL_GET_PATH, self.volume_path)
        table.add(storage.STORAGE_VOL_DELETE, self.delete)
        table.add(storage.STORAGE_VOL_DOWNLOAD, self.download)

    @property
    def _remote(self) -> s.RemoteStoragePool:
        return s.RemoteStoragePool(name=POOL, uuid=self._pool.uuid)

    def _require(self, pool: s.RemoteStoragePool) -> None:
        self._pool.require(uuid=pool.uuid)

    def _volume(self, vol: s.RemoteStorageVol) -> ContainerImage:
        if vol.pool == KEPT_POOL:
            raise NotSupported(
                what="this of a volume that virtocid keeps",
                reason="it is a directory, which has a path and can be deleted",
            )
        self._pool.require(name=vol.pool)
        return self._pool.volume(name=vol.name)

    def list_names(self, _ctx: Context, args: s.MaxNamesArgs) -> s.NamesRet:
        return s.NamesRet(names=(POOL,)[: max(0, args.maxnames)])

    def list_pools(self, _ctx: Context, args: s.ListArgs) -> c.ConnectListAllStoragePoolsRet:
        refuse_unknown(args.flags, _LIST_KNOWN, "virConnectListAllStoragePools")
        wanted = all(not args.flags & bits or args.flags & ours for bits, ours in _LIST_GROUPS)
        pools = (self._remote,) if wanted else ()
        return c.ConnectListAllStoragePoolsRet(pools=pools if args.need_results else (), ret=len(pools))

    def capabilities(self, _ctx: Context, args: s.FlagsArgs) -> s.CapabilitiesRet:
        refuse_unknown(args.flags, 0, "virConnectGetStoragePoolCapabilities")
        return s.CapabilitiesRet(capabilities=_CAPABILITIES)

    def pool_by_name(self, _ctx: Context, args: s.NameArgs) -> h.StoragePoolRet:
        self._pool.require(name=args.name)
        return h.StoragePoolRet(pool=self._remote)

    def pool_by_uuid(self, _ctx: Context, args: s.UuidArgs) -> h.StoragePoolRet:
        self._pool.require(uuid=args.uuid)
        return h.StoragePoolRet(pool=self._remote)

    def pool_by_volume(self, _ctx: Context, args: h.StorageVolArgs) -> h.StoragePoolRet:
        self._pool.require(name=args.vol.pool)
        return h.StoragePoolRet(pool=self._remote)

    def pool_info(self, _ctx: Context, args: h.StoragePoolArgs) -> h.StoragePoolGetInfoRet:
        self._require(args.pool)
        space = self._pool.space()
        return h.StoragePoolGetInfoRet(
            state=_RUNNING,
            capacity=space.capacity_bytes,
            allocation=space.allocation_bytes,
            available=space.available_bytes,
        )

    def pool_xml(self, _ctx: Context, args: h.StoragePoolFlagsArgs) -> s.XmlRet:
        refuse_unknown(args.flags, _XML_INACTIVE, "virStoragePoolGetXMLDesc")
        self._require(args.pool)
        return s.XmlRet(xml=self._pool.xml())

    def pool_autostart(self, _ctx: Context, args: h.StoragePoolArgs) -> s.AutostartRet:
        self._require(args.pool)
        return s.AutostartRet(autostart=1)

    def pool_is_active(self, _ctx: Context, args: h.StoragePoolArgs) -> s.ActiveRet:
        self._require(args.pool)
        return s.ActiveRet(active=1)

    def pool_is_persistent(self, _ctx: Context, args: h.StoragePoolArgs) -> s.PersistentRet:
        self._require(args.pool)
        return s.PersistentRet(persistent=1)

    def refresh(self, _ctx: Context, args: h.StoragePoolFlagsArgs) -> None:
        """Every answer is read from the directory, so there is nothing that could be old."""
        refuse_unknown(args.flags, 0, "virStoragePoolRefresh")
        self._require(args.pool)

    def volume_count(self, _ctx: Context, args: h.StoragePoolArgs) -> s.NumRet:
        self._require(args.pool)
        return s.NumRet(num=len(self._pool.volumes()))

    def volume_names(self, _ctx: Context, args: st.StoragePoolListVolumesArgs) -> st.StoragePoolListVolumesRet:
        self._require(args.pool)
        names = tuple(image.name for image in self._pool.volumes() if image.name)
        return st.StoragePoolListVolumesRet(names=names[: max(0, args.maxnames)])

    def list_volumes(self, _ctx: Context, args: h.StoragePoolListAllVolumesArgs) -> h.StoragePoolListAllVolumesRet:
        refuse_unknown(args.flags, 0, "virStoragePoolListAllVolumes")
        self._require(args.pool)
        volumes = tuple(map(_remote_volume, self._pool.volumes()))
        return h.StoragePoolListAllVolumesRet(vols=volumes if args.need_results else (), ret=len(volumes))

    def volume_by_name(self, _ctx: Context, args: h.StorageVolLookupByNameArgs) -> h.StorageVolRet:
        self._require(args.pool)
        return h.StorageVolRet(vol=_remote_volume(self._pool.volume(name=args.name)))

    def volume_by_key(self, _ctx: Context, args: h.StorageVolLookupByKeyArgs) -> h.StorageVolRet:
        return h.StorageVolRet(vol=self._volume_at(args.key))

    def volume_by_path(self, _ctx: Context, args: h.StorageVolLookupByPathArgs) -> h.StorageVolRet:
        return h.StorageVolRet(vol=self._volume_at(args.path))

    def _volume_at(self, path: str) -> s.RemoteStorageVol:
        """An image, or a directory that is kept for a domain: virsh undefine --remove-all-storage asks by path."""
        if self._driver.kept_volumes.has(path):
            kept = self._driver.kept_volumes.at(path)
            return s.RemoteStorageVol(pool=KEPT_POOL, name=kept.name, key=str(kept.directory))
        return _remote_volume(self._pool.volume_at(path))

    def volume_info_flags(self, _ctx: Context, args: h.StorageVolFlagsArgs) -> h.StorageVolGetInfoRet:
        refuse_unknown(args.flags, _PHYSICAL, "virStorageVolGetInfoFlags")
        return self._info(args.vol, physical=bool(args.flags & _PHYSICAL))

    def volume_xml(self, ctx: Context, args: h.StorageVolFlagsArgs) -> s.XmlRet:
        refuse_unknown(args.flags, 0, "virStorageVolGetXMLDesc")
        image = self._volume(args.vol)
        return s.XmlRet(xml=self._pool.describe(image, secure=not ctx.readonly, name_of=self._name_of))

    def volume_path(self, _ctx: Context, args: h.StorageVolArgs) -> s.NameRet:
        if args.vol.pool == KEPT_POOL:
            return s.NameRet(name=str(self._driver.kept_volumes.at(args.vol.key).directory))
        return s.NameRet(name=str(self._volume(args.vol).path))

    def delete(self, _ctx: Context, args: h.StorageVolFlagsArgs) -> None:
        refuse_unknown(args.flags, _DELETE_KNOWN, "virStorageVolDelete")
        if args.vol.pool == KEPT_POOL:
            self._driver.kept_volumes.remove(args.vol.key, self._driver.domains)
        else:
            self._pool.delete(self._volume(args.vol))

    def download(self, ctx: Context, args: st.StorageVolTransferArgs) -> None:
        refuse_unknown(args.flags, 0, "virStorageVolDownload")  # sparse streams: an image file has no holes
        image = self._volume(args.vol)
        ctx.open_stream(self._pool.download(image, offset_bytes=args.offset, length_bytes=args.length))

    def _info(self, vol: s.RemoteStorageVol, *, physical: bool = False) -> h.StorageVolGetInfoRet:
        size = disk_size(self._volume(vol).path)
        return h.StorageVolGetInfoRet(
            type=_VOLUME_FILE, capacity=size.capacity, allocation=size.physical if physical else size.allocation
        )

    def _name_of(self, uuid: UUID) -> str | None:
        domain = self._driver.domains.find(uuid)
        return domain.name if domain else None


def _remote_volume(image: ContainerImage) -> s.RemoteStorageVol:
    return s.RemoteStorageVol(pool=POOL, name=image.name or "", key=str(image.path))
