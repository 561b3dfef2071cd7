"""S04 and S05: ambiguous and oversized JSON is refused with a typed error."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.oci import codec
from wherry.oci.codec import InvalidDocument
from wherry.oci.image_config import decode_image_config
from wherry.oci.index import MAX_CHILDREN, decode_index
from wherry.oci.manifest import InvalidManifest, decode_manifest, media_type_of
from wherry.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

D = "sha256:" + "0" * 64
CONFIG = f'{{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "{D}", "size": 2}}'
MANIFEST = f'{{"schemaVersion": 2, "config": {CONFIG}, "layers": []}}'


@pytest.mark.parametrize(
    "document",
    [
        MANIFEST[:-1] + ', "layers": []}',
        MANIFEST[:-1] + ', "Layers": []}',
        MANIFEST.replace('"digest"', '"Digest"'),
        MANIFEST.replace('"config"', '"ConFig"'),
        MANIFEST.replace('"size": 2', '"size": 2, "SIZE": 3'),
    ],
)
def test_s04_duplicate_and_case_variant_keys_are_refused(document: str) -> None:
    with pytest.raises(InvalidDocument):
        decode_manifest(document.encode())


def test_labels_may_differ_by_case() -> None:
    config = decode_image_config(
        b'{"config": {"Labels": {"maintainer": "a", "Maintainer": "b"}}, "rootfs": {"type": "layers"}}'
    )
    assert config.defaults.labels == {"maintainer": "a", "Maintainer": "b"}


@pytest.mark.parametrize("key", ["layers", "config", "Layers", "CONFIG"])
def test_s04_a_document_that_is_index_and_image_is_refused(key: str) -> None:
    with pytest.raises(InvalidManifest, match="refusing to guess"):
        media_type_of(f'{{"schemaVersion": 2, "manifests": [], "{key}": []}}'.encode(), OCI_INDEX)


def test_s04_media_type_must_equal_content_type() -> None:
    document = MANIFEST.replace('"schemaVersion": 2', f'"schemaVersion": 2, "mediaType": "{OCI_MANIFEST}"').encode()
    assert media_type_of(document, OCI_MANIFEST + "; charset=utf-8") == OCI_MANIFEST
    with pytest.raises(InvalidManifest, match="was served as"):
        media_type_of(document, DOCKER_MANIFEST)
    with pytest.raises(InvalidManifest):
        media_type_of(MANIFEST.encode(), OCI_INDEX)


def test_schema_1_is_refused_with_a_remedy() -> None:
    with pytest.raises(InvalidManifest) as caught:
        media_type_of(b'{"schemaVersion": 1, "fsLayers": []}', "")
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 65 + b"]" * 65,
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 18446744073709551616}',
        b" " * (codec.MAX_DOCUMENT_BYTES + 1),
        b'{"a": "\xff"}',
        b"{",
    ],
    ids=[
        "open",
        "deep",
        "deep-object",
        "digits",
        "65-levels",
        "nan",
        "infinity",
        "exponent",
        "65-bit",
        "large",
        "utf8",
        "cut",
    ],
)
def test_s05_a_json_bomb_is_a_typed_error_at_once(document: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidDocument):
        codec.decode_any(document, what="bomb")
    assert time.monotonic() - started < 1.0


def test_s05_brackets_in_strings_are_not_depth() -> None:
    text = '"' + "[" * 100 + '\\""'
    assert codec.decode_any(text.encode(), what="x") == "[" * 100 + '"'


def test_s06_an_index_may_not_fan_out() -> None:
    entry = f'{{"mediaType": "{OCI_MANIFEST}", "digest": "{D}", "size": 1}}'
    many = ",".join([entry] * (MAX_CHILDREN + 1))
    with pytest.raises(InvalidManifest, match="entries"):
        decode_index(f'{{"schemaVersion": 2, "manifests": [{many}]}}'.encode())


@given(st.binary(max_size=200))
def test_s05_random_bytes_never_crash_the_decoder(data: bytes) -> None:
    try:
        codec.decode_any(data, what="noise")
    except InvalidDocument:
        pass  # the only error there may be


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_what_is_encoded_decodes_to_the_same(value: object) -> None:
    assert codec.decode_any(codec.encode(value), what="x") == value


def test_s16_labels_of_the_engine_are_dropped() -> None:
    config = decode_image_config(
        b'{"config": {"Labels": {"io.wherry.log-uri": "binary:///bin/sh", "a": "b"}}, "rootfs": {"type": "layers"}}'
    )
    assert config.defaults.labels == {"a": "b"}


def test_docker_nulls_mean_not_set() -> None:
    config = decode_image_config(
        b'{"config": {"Cmd": null, "Env": null, "Labels": null, "Volumes": null, "ExposedPorts": {"80/tcp": {}}},'
        b' "rootfs": {"type": "layers", "diff_ids": null}, "history": null}'
    )
    assert config.defaults.cmd is None
    assert config.defaults.exposed_ports == {"80/tcp": {}}
    assert config.diff_ids == ()
