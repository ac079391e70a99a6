# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of source, and what stands between it and us: each failure is told in its own words."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from covirt.common.errors import Error
from covirt.common.process import run
from covirt.common.root import Root
from covirt.oci.image import errors
from covirt.oci.image.model import host_architecture
from covirt.oci.image.options import ImportOptions, Progress, Step
from covirt.oci.image.store import ImageStore
from tests.support.images import one_image, write_policy
from tests.support.oci_layout import Image, busybox_image, directory_entry, layer, write_layout
from tests.support.programs import fake_program, prepend_path
from tests.support.registry import Registry
from tests.support.waiting import free_port

_PLAIN = ImportOptions(tls_verify=False)


def _digest(layout: Path) -> str:
    return str(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])


@pytest.fixture
def store(root_dir: Root) -> ImageStore:
    return ImageStore(root_dir)


class TestFiles:
    def test_a_layout(self, store: ImageStore, busybox_layout: Path) -> None:
        image = store.import_(f"oci:{busybox_layout}:busybox")
        assert image.name == "layout-busybox"
        assert image.digest == _digest(busybox_layout)
        assert image.config.command == ("/bin/sh",)
        assert image.config.environment == (("PATH", "/bin:/usr/bin"),)
        assert image.size_bytes == image.path.stat().st_size

    @pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
    def test_an_archive(self, store: ImageStore, busybox_layout: Path, open_dir: Path, kind: str) -> None:
        archive = open_dir / "my box.tar"
        argv = [
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            f"oci:{busybox_layout}:busybox",
            f"{kind}:{archive}:x/box:1",
        ]
        run(argv, timeout_seconds=60)
        image = store.import_(f"{kind}:{archive}")
        assert image.name == "my-box"
        assert store.import_(f"{kind}:{archive}:x/box:1").digest == image.digest
        assert image.config.command == ("/bin/sh",)

    @pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
    def test_an_open_archive_whatever_takes_its_place(
        self, store: ImageStore, open_dir: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """skopeo would look for the file's name, which may by now be a link of whoever owns the directory."""
        meant, other = (self._archive(open_dir, name, kind) for name in ("meant", "other"))
        wanted = store.import_(f"{kind}:{meant}").digest
        script = f"rm -f {meant}; ln -sf {other} '{meant} (deleted)'"  # as the kernel calls a file that has no name
        fake_program(tmp_path, "skopeo", f'{script}\nexec {shutil.which("skopeo")} "$@"')
        with meant.open("rb") as stream:
            source = f"{kind}:/proc/{os.getpid()}/fd/{stream.fileno()}"
            assert store.import_(source, name="again").digest == wanted
            prepend_path(monkeypatch, tmp_path)
            with pytest.raises(errors.UnreadableSource, match="was it removed meanwhile"):
                store.import_(source, name="swapped")

    @staticmethod
    def _archive(open_dir: Path, name: str, kind: str) -> Path:
        archive = open_dir / f"{name}.tar"
        content = Image(layers=[layer(directory_entry(name))])
        source = one_image(open_dir / name, content)
        run(["skopeo", "--insecure-policy", "copy", "-q", source, f"{kind}:{archive}:x/box:1"], timeout_seconds=60)
        return archive

    def test_a_relative_path(self, store: ImageStore, busybox_layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(busybox_layout.parent)
        assert store.import_("oci:layout:busybox").digest == _digest(busybox_layout)

    def test_a_directory_closed_to_others(self, store: ImageStore, tmp_path: Path) -> None:
        source = one_image(tmp_path / "layout", busybox_image())
        assert store.import_(source).config.command == ("/bin/sh",)

    @pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive", "aci"])
    def test_a_missing_file(self, store: ImageStore, open_dir: Path, kind: str) -> None:
        with pytest.raises(errors.NoSuchSource, match=rf"^{kind}:{open_dir}/none: there is no such file"):
            store.import_(f"{kind}:{open_dir}/none")

    @pytest.mark.parametrize("kind", ["oci-archive", "docker-archive", "aci"])
    @pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08" + bytes(50), bytes(2000)])
    def test_an_unreadable_archive(self, store: ImageStore, open_dir: Path, kind: str, content: bytes) -> None:
        (open_dir / "broken").write_bytes(content)
        with pytest.raises(errors.UnreadableSource, match=rf"^{kind}:{open_dir}/broken: not a readable image"):
            store.import_(f"{kind}:{open_dir}/broken")

    def test_a_layout_with_a_changed_layer(self, store: ImageStore, open_dir: Path) -> None:
        source = one_image(open_dir / "layout", Image(layers=[layer(directory_entry("a"))], compression="none"))
        blob = max((open_dir / "layout/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
        with pytest.raises(errors.UnreadableSource, match=r"not a readable image"):
            store.import_(source)

    def test_a_layer_that_is_no_tar(self, store: ImageStore, open_dir: Path) -> None:
        source = one_image(open_dir / "layout", Image(layers=[b"no tar" * 1000]))
        with pytest.raises(errors.UnpackFailed, match=r"layers cannot be unpacked"):
            store.import_(source)

    def test_a_tag_that_is_not_in_the_layout(self, store: ImageStore, busybox_layout: Path) -> None:
        with pytest.raises(errors.NoSuchTag, match=r"busybox_layout|:none"):
            store.import_(f"oci:{busybox_layout}:none")

    def test_another_architecture(self, store: ImageStore, open_dir: Path) -> None:
        source = one_image(open_dir / "layout", Image(layers=[layer(directory_entry("a"))], architecture="s390x"))
        with pytest.raises(errors.WrongArchitecture, match=rf"made for s390x.*runs {host_architecture()}"):
            store.import_(source)


class TestRegistry:
    @pytest.fixture
    def reference(self, registry: Registry, busybox_layout: Path) -> str:
        return registry.push(busybox_layout, "busybox", "library/busybox:1.36")

    def test_a_tag_and_a_digest_give_the_same(self, store: ImageStore, reference: str, busybox_layout: Path) -> None:
        seen: list[Progress] = []
        image = store.import_(reference, options=_PLAIN, progress=seen.append)
        assert image.name == "busybox-1.36"
        by_digest = f"{reference.removesuffix(':1.36')}@{image.digest}"
        assert store.import_(by_digest, options=_PLAIN).name == "busybox"
        assert image.digest == _digest(busybox_layout)
        assert list(dict.fromkeys(progress.step for progress in seen)) == list(Step)
        assert [p.percent for p in seen if p.step is Step.COPY][-1] == 100.0

    def test_zstd_layers(self, store: ImageStore, registry: Registry, open_dir: Path) -> None:
        image = busybox_image()
        layout = write_layout(
            open_dir / "l", {"z": Image(layers=image.layers, config=image.config, compression="zstd")}
        )
        found = store.import_(registry.push(layout, "z", "zstd:1"), options=_PLAIN)
        assert found.digest == _digest(layout)

    def test_ours_is_chosen_from_several_architectures(
        self, store: ImageStore, registry: Registry, open_dir: Path
    ) -> None:
        reference = _push_index(registry, open_dir, "multi:1", ("s390x", "amd64", "arm64"))
        assert store.import_(reference, options=_PLAIN).architecture == host_architecture()

    def test_none_of_several_architectures_is_ours(
        self, store: ImageStore, registry: Registry, open_dir: Path
    ) -> None:
        reference = _push_index(registry, open_dir, "foreign:1", ("s390x", "ppc64le"))
        wanted = rf"linux/ppc64le, linux/s390x, and this host runs linux/{host_architecture()}"
        with pytest.raises(errors.WrongArchitecture, match=wanted):
            store.import_(reference, options=_PLAIN)

    @pytest.mark.parametrize("name", ["library/busybox:none", "nothing:1", f"library/busybox@sha256:{'0' * 64}"])
    @pytest.mark.usefixtures("reference")
    def test_a_missing_tag(self, store: ImageStore, registry: Registry, name: str) -> None:
        with pytest.raises(errors.NoSuchTag, match=re.escape(registry.reference(name))):
            store.import_(registry.reference(name), options=_PLAIN)

    def test_plain_http_needs_a_word(self, store: ImageStore, reference: str) -> None:
        with pytest.raises(errors.RegistryWithoutTls, match=r"--no-tls-verify"):
            store.import_(reference)

    @pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
    def test_nobody_answers(self, store: ImageStore, host: str) -> None:
        with pytest.raises(
            errors.RegistryUnreachable, match=rf"^docker://{host}:\d+/a:1: the registry does not answer"
        ):
            store.import_(f"docker://{host}:{free_port()}/a:1")


class TestSecureRegistry:
    @pytest.fixture
    def reference(self, secure_registry: Registry, busybox_layout: Path) -> str:
        return secure_registry.push(busybox_layout, "busybox", "box:1")

    def test_certificate_and_password(
        self, store: ImageStore, secure_registry: Registry, reference: str, open_dir: Path
    ) -> None:
        authfile = secure_registry.write_authfile(open_dir / "auth.json")
        options = ImportOptions(authfile=authfile, cert_dir=secure_registry.cert_dir)
        assert store.import_(reference, options=options).name == "box-1"

    def test_an_unknown_authority(self, store: ImageStore, reference: str) -> None:
        with pytest.raises(errors.UntrustedCertificate, match=r"--cert-dir"):
            store.import_(reference)

    def test_no_password(self, store: ImageStore, secure_registry: Registry, reference: str) -> None:
        with pytest.raises(errors.WrongCredentials, match=r"--authfile"):
            store.import_(reference, options=ImportOptions(cert_dir=secure_registry.cert_dir))

    def test_a_wrong_password(
        self, store: ImageStore, secure_registry: Registry, reference: str, open_dir: Path
    ) -> None:
        authfile = secure_registry.write_authfile(open_dir / "auth.json", password="wrong battery")  # noqa: S106
        options = ImportOptions(authfile=authfile, cert_dir=secure_registry.cert_dir)
        with pytest.raises(errors.WrongCredentials) as caught:
            store.import_(reference, options=options)
        assert "wrong battery" not in str(caught.value)

    @pytest.mark.parametrize("content", [None, b"{", b"[]", b"\xff"])
    def test_an_unusable_credentials_file(
        self, store: ImageStore, reference: str, open_dir: Path, content: bytes | None
    ) -> None:
        if content is not None:
            (open_dir / "auth.json").write_bytes(content)
        with pytest.raises(errors.BadCredentialsFile, match=r"auth\.json"):
            store.import_(reference, options=ImportOptions(authfile=open_dir / "auth.json"))


class TestPolicy:
    @pytest.fixture(params=["layout", "registry", "aci"])
    def source(self, request: pytest.FixtureRequest, registry: Registry, busybox_layout: Path, open_dir: Path) -> str:
        if request.param == "layout":
            return f"oci:{busybox_layout}:busybox"
        if request.param == "registry":
            return registry.push(busybox_layout, "busybox", "box:1")
        (open_dir / "aci/rootfs").mkdir(parents=True)
        manifest = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/x"}
        (open_dir / "aci/manifest").write_text(json.dumps(manifest))
        run(["tar", "-C", open_dir / "aci", "-cf", open_dir / "x.aci", "manifest", "rootfs"], timeout_seconds=20)
        return f"aci:{open_dir}/x.aci"

    @pytest.fixture
    def key(self, open_dir: Path) -> Iterator[Path]:
        home = open_dir / "gnupg"
        home.mkdir(mode=0o700)
        environment = {"GNUPGHOME": str(home)}
        parameters = ["--batch", "--passphrase", "", "--quick-gen-key", "t@example.com", "rsa2048", "sign", "never"]
        run(["gpg", *parameters], timeout_seconds=60, environment=environment)
        armor = run(["gpg", "--export", "t@example.com"], timeout_seconds=60, environment=environment).stdout
        (open_dir / "key.gpg").write_bytes(armor)
        yield open_dir / "key.gpg"
        run(["gpgconf", "--kill", "all"], timeout_seconds=60, environment=environment)

    def test_reject(self, store: ImageStore, source: str, open_dir: Path) -> None:
        policy = write_policy(open_dir / "policy.json")
        with pytest.raises(errors.UntrustedSignature, match=rf"^{source}: the signature policy refuses"):
            store.import_(source, options=ImportOptions(policy=policy, tls_verify=False))
        assert store.list() == ()

    @pytest.mark.skipif(shutil.which("gpg") is None, reason="not installed: gpg")
    def test_a_signature_is_missing(self, store: ImageStore, source: str, key: Path) -> None:
        policy = write_policy(
            key.parent / "policy.json", {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(key)}
        )
        with pytest.raises(errors.UntrustedSignature, match=r"signature was required"):
            store.import_(source, options=ImportOptions(policy=policy, tls_verify=False))

    @pytest.mark.parametrize("content", [None, "{", "{}"])
    def test_an_unusable_policy(
        self, store: ImageStore, busybox_layout: Path, open_dir: Path, content: str | None
    ) -> None:
        policy = open_dir / "policy.json"
        if content is not None:
            policy.write_text(content)
        with pytest.raises(errors.BadPolicy):
            store.import_(f"oci:{busybox_layout}:busybox", options=ImportOptions(policy=policy))


def test_a_failed_import_leaves_nothing(store: ImageStore, root_dir: Root, open_dir: Path) -> None:
    source = one_image(open_dir / "layout", Image(layers=[b"no tar" * 1000]))
    with pytest.raises(Error):
        store.import_(source)
    assert [path.name for path in (root_dir.state_dir / "image-work").iterdir()] == [".lock"]
    assert store.list() == ()


def _push_index(registry: Registry, directory: Path, name: str, architectures: tuple[str, ...]) -> str:
    """Push one image for several architectures under one name."""
    layout = directory / "index"
    images = {each: Image(layers=busybox_image().layers, architecture=each) for each in architectures}
    write_layout(layout, images)
    index = json.loads((layout / "index.json").read_text())
    for manifest, architecture in zip(index["manifests"], architectures, strict=True):
        manifest.pop("annotations")
        manifest["platform"] = {"os": "linux", "architecture": architecture}
    data = json.dumps(index).encode()
    digest = run(["sha256sum"], stdin_data=data, timeout_seconds=10).stdout.split()[0].decode()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    entry = {"mediaType": index["mediaType"], "digest": f"sha256:{digest}", "size": len(data)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "all"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    argv = ["skopeo", "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false",
            f"oci:{layout}:all", registry.reference(name)]  # fmt: skip
    run(argv, timeout_seconds=60)
    return registry.reference(name)
