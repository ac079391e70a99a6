# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""A life of the agent as far as images go, in this process, or (``python -m``) in one that is to be killed."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from covirt.common.root import Root
from covirt.host.events import Events
from covirt.host.storage.image_config import ImagesConfig
from covirt.host.storage.image_volumes import ImageVolumes
from covirt.host.storage.images import Images
from covirt.host.verbs.dispatch import CallContext, Dispatcher
from covirt.host.verbs.faults import described
from covirt.host.verbs.images import image_verb_classes
from covirt.host.virt.volumes import VolumeRef
from tests.support.plain_volumes import PlainVolumes
from tests.support.waiting import wait_until

_ENDED = ("done", "failed", "aborted")


class ImageAgent:
    """Calls its verbs as a client does."""

    def __init__(self, parts: Images, dispatcher: Dispatcher) -> None:
        self.parts = parts
        self._dispatcher = dispatcher

    def call(self, method: str, **params: Any) -> Any:
        return cast(Any, self._dispatcher.call(method, params, CallContext(client="test")))

    def begin(self, method: str, **params: Any) -> str:
        """Begin a job; gives its id."""
        job_id = str(uuid4())
        self.call(method, **{"job_id" if method.startswith("SDM.") else "jobID": job_id}, **params)
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        return cast(dict[str, Any], self.call("Host.getJobs")[job_id])

    def ended(self, job_id: str) -> dict[str, Any]:
        wait_until(lambda: self.job(job_id)["status"] in _ENDED, timeout_seconds=60, what="the job's end")
        return self.job(job_id)


@contextmanager
def image_agent(root: Root, volumes: ImageVolumes, config: ImagesConfig) -> Iterator[ImageAgent]:
    parts = Images.new(root=root, config=config, events=Events(), describe=described, tls=None)
    dispatcher = Dispatcher(image_verb_classes(parts, root=root, config=config, volumes=volumes))
    dispatcher.set_ready()
    parts.start()
    try:
        yield ImageAgent(parts, dispatcher)
    finally:
        parts.stop()


def volume_ids(ref: VolumeRef) -> dict[str, str]:
    return {
        "storagepoolID": ref.pool_id,
        "storagedomainID": ref.domain_id,
        "imageID": ref.image_id,
        "volumeID": ref.volume_id,
    }


def main() -> None:
    """ROOT POLICY URL: begin an import into ROOT/images, tell the job's id, and wait to be killed."""
    path, policy, url = sys.argv[1:]
    root = Root(path)
    volumes = PlainVolumes(Path(path) / "images")
    with image_agent(root, volumes, ImagesConfig(container_image_policy=Path(policy))) as agent:
        ref, source = volumes.new_ref(), {"url": url, "tlsVerify": False}
        sys.stdout.write(agent.begin("ContainerImage.import", source=source, **volume_ids(ref)) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
