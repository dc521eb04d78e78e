"""Settings of a dcmStorage with a file: URI, as a `file_storage.FileStorage` needs them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dcm4py_leading.archive.storage.path_format import PathFormat, compile_path_format
from dcm4py_leading.errors import ConfigInvalid, Problem
from dcm4py_leading.model.archive import StorageDescriptor

INCOMING = ".incoming"
"""The directory of what is in flight (see `in_flight`)."""


def check_descriptor(descriptor: StorageDescriptor) -> None:
    """Tell whether a `FileStorage` could be made of it, without touching the disk. Raises ConfigInvalid."""
    root_of(descriptor)
    path_format_of(descriptor)
    digest_name_of(descriptor)


def has_files(descriptor: StorageDescriptor) -> bool:
    """True if there are files where a `FileStorage` would have its objects. Raises ConfigInvalid."""
    root = root_of(descriptor)
    for folder, folders, files in os.walk(root):
        if files:
            return True
        if Path(folder) == root and INCOMING in folders:
            folders.remove(INCOMING)
    return False


def root_of(descriptor: StorageDescriptor) -> Path:
    """Directory that its dcmURI names. Raises ConfigInvalid."""
    uri = urlsplit(descriptor.uri)
    path = unquote(uri.path)
    if uri.scheme != "file" or uri.netloc not in ("", "localhost") or not path.startswith("/"):
        raise _wrong(descriptor, "dcmURI", descriptor.uri, "expected a file: URI of an absolute path on this machine")
    return Path(os.path.normpath(path))


def path_format_of(descriptor: StorageDescriptor) -> PathFormat:
    """Its dcmStoragePathFormat. Raises ConfigInvalid."""
    try:
        return compile_path_format(descriptor.storage_path_format)
    except ValueError as err:
        raise _wrong(descriptor, "dcmStoragePathFormat", descriptor.storage_path_format, str(err)) from err


def digest_name_of(descriptor: StorageDescriptor) -> str | None:
    """Python's name of its dcmDigestAlgorithm, which is Java's; None: no digest. Raises ConfigInvalid."""
    if descriptor.digest_algorithm is None:
        return None
    name = descriptor.digest_algorithm.lower().replace("sha-", "sha")
    if name not in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
        raise _wrong(descriptor, "dcmDigestAlgorithm", descriptor.digest_algorithm, "expected MD5, SHA-1 or SHA-256")
    return name


def _wrong(descriptor: StorageDescriptor, attribute: str, value: str, reason: str) -> ConfigInvalid:
    return ConfigInvalid([Problem(dn=descriptor.dn, attribute=attribute, value=value, reason=reason)])
