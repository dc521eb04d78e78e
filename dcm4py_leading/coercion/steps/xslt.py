"""The step ``xslt``: a style sheet over the Native DICOM Model (dcmURI of legacy rules, ``xslt:`` of version-2 rules).

The style sheets are XSLT 1.0 with EXSLT, as libxslt has them. They are compiled when the step is, and read nothing but
files in the folders that are configured for them: no network, no external entities, nothing is written. How deep
templates call each other is bounded by libxslt (3000); how long a style sheet runs is not.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from lxml import etree
from pydicom import Dataset

from dcm4py_leading.coercion.changes import Change
from dcm4py_leading.coercion.context import CoercionContext
from dcm4py_leading.coercion.steps.native_model import PIXEL_DATA, Tree, from_native, to_native
from dcm4py_leading.coercion.steps.step import Traits
from dcm4py_leading.coercion.tags import AllTags, Tags
from dcm4py_leading.coercion.update import plan_update
from dcm4py_leading.dataset.text.charset import (
    SPECIFIC_CHARACTER_SET,
    character_set,
    elements_of,
    specific_character_set,
    unified,
)
from dcm4py_leading.errors import CoercionFailed, UnencodableText
from dcm4py_leading.model.coercion import Dimse, UpdatePolicy
from dcm4py_leading.model.values import TransferRole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class XsltStep:
    """Transform the data set, and overwrite its attributes with those of the result.

    Attributes that are not in the result stay unchanged; those without a value in the result are emptied. The Specific
    Character Set stays, unless it cannot encode the new text. Pixel Data cannot be changed.
    """

    name: ClassVar[str] = "xslt"
    traits: ClassVar[Traits] = Traits()

    style_sheet: StyleSheet
    keywords: bool = True
    """True if attributes carry their keyword (dcmNoKeywords, xsl-no-keyword)."""
    legacy: bool = False
    """True if the parameters have the names of dcmArchiveAttributeCoercion."""

    @property
    def reads(self) -> Tags:
        """All tags, as style sheets do not declare them."""
        return AllTags.ALL

    @property
    def writes(self) -> Tags:
        """All tags, as style sheets do not declare them."""
        return AllTags.ALL

    def changes(self, ds: Dataset, context: CoercionContext) -> list[Change]:
        """Changes that the style sheet makes. Raises CoercionFailed when it fails, or gives no Native DICOM Model."""
        try:
            given = to_native(ds, keywords=self.keywords)
            result = self.style_sheet.transform(given, parameters(context, legacy=self.legacy))
            new = Dataset() if result is None else from_native(result, like=ds, given=given)
        except ValueError as err:
            raise CoercionFailed(f"xslt {self.style_sheet.path}: {err}") from None
        if PIXEL_DATA & new.keys():
            raise CoercionFailed(f"xslt {self.style_sheet.path}: expected it to leave Pixel Data alone")
        try:
            _encodable_items(new)
        except UnencodableText as err:
            raise CoercionFailed(f"xslt {self.style_sheet.path}: {err}") from err
        return plan_update(ds, new, UpdatePolicy.OVERWRITE, declared=character_set(ds))


def compile_xslt(
    uri: str, *, no_keywords: bool, folders: Sequence[Path], expand: Callable[[str], str], legacy: bool = False
) -> XsltStep:
    """The step with the style sheet at ``uri``. Raises ValueError as `compile_style_sheet` does."""
    return XsltStep(
        style_sheet=compile_style_sheet(uri, folders=folders, expand=expand),
        keywords=not no_keywords,
        legacy=legacy,
    )


def compile_style_sheet(uri: str, *, folders: Sequence[Path], expand: Callable[[str], str]) -> StyleSheet:
    """Compile the style sheet at ``uri``: a file URI or an absolute path, in which ``expand`` replaces ``${...}``.

    Raises ValueError when it is anything else, is not in one of ``folders``, cannot be read, or is no style sheet,
    then with its line.
    """
    return StyleSheet(_path(expand(uri)), folders)


def parameters(context: CoercionContext, *, legacy: bool) -> dict[str, str]:
    """The global parameters of a style sheet; unknown ones are left out."""
    sending, receiving = context.sending, context.receiving
    if legacy:
        local, remote = (sending, receiving) if context.transfer_role is TransferRole.SCP else (receiving, sending)
        is_retrieve = (context.dimse, context.transfer_role) == (Dimse.C_STORE_RQ, TransferRole.SCP)
        found = {
            "LocalAET": local.ae_title,
            "RemoteAET": remote.ae_title,
            "RemoteHostname" if is_retrieve else "RemoteHost": remote.host,
        }
    else:
        found = {
            "SendingHostname": sending.host,
            "SendingApplicationEntityTitle": sending.ae_title,
            "ReceivingHostname": receiving.host,
            "ReceivingApplicationEntityTitle": receiving.ae_title,
        }
    return {name: value for name, value in found.items() if value is not None}


class StyleSheet:
    """A style sheet with its includes, in their state when compiled. Safe under threads."""

    # libxml2 keeps strings for each thread: an lxml.etree.XSLT that another thread uses may be parsed anew for each
    # transformation, and then past our resolver. So each thread compiles its own, once, from what was read.
    def __init__(self, path: Path, folders: Sequence[Path]) -> None:
        """Compile it. Raises ValueError."""
        self.path = path
        self._files = _Files(folders)
        self._compiled = threading.local()
        self._compiled.transform = self._compile()
        for file, content in self._files.all():
            if java := [uri for uri in etree.fromstring(content, self._parser()).nsmap.values() if _JAVA.match(uri)]:
                raise ValueError(f"{file}: calls Java ({java[0]}), which is not supported")

    def transform(self, tree: Tree, values: Mapping[str, str]) -> Tree | None:
        """Transform a document; None if the result is empty. Raises ValueError, without messages of the style sheet."""
        if not hasattr(self._compiled, "transform"):
            self._compiled.transform = self._compile()
        transform: etree.XSLT = self._compiled.transform
        # Any: for type checkers one of the names could be that of a keyword argument.
        quoted: dict[str, Any] = {name: etree.XSLT.strparam(value) for name, value in values.items()}
        # lxml's messages are only for DEBUG, as a style sheet may put values into messages and file names.
        try:
            result = transform(tree, **quoted)
        except etree.XSLTApplyError as err:
            log.debug("style sheet %s: %s", self.path, err)
            raise ValueError(f"ended with an error{_where(err)}") from None
        except (etree.LxmlError, OSError, ValueError) as err:
            # These come from document().
            log.debug("style sheet %s: %s", self.path, err)
            raise ValueError("a document that it asks for cannot be read") from None
        if result.getroot() is not None:
            return result
        if str(result).strip():
            raise ValueError("gives text instead of a NativeDicomModel")
        return None

    def _compile(self) -> etree.XSLT:
        try:
            document = etree.fromstring(self._files.read(self.path), self._parser(), base_url=self.path.as_uri())
            return etree.XSLT(document, regexp=False, access_control=_ACCESS)
        except etree.XSLTParseError as err:
            raise ValueError(f"{self.path}: {err}{_where(err)}") from None
        except etree.XMLSyntaxError as err:
            raise ValueError(f"{err.filename or self.path}: {err.msg}") from None

    def _parser(self) -> etree.XMLParser:
        # These settings also hold for what is included and for document().
        parser = etree.XMLParser(resolve_entities="internal", no_network=True, load_dtd=False, huge_tree=False)
        parser.resolvers.add(_Resolver(self._files))
        return parser


_JAVA = re.compile(r"java:|http://xml\.apache\.org/(xalan|xslt)/java|http://saxon\.sf\.net/java-type")
"""Name spaces by which Java's processors call methods."""

# Reading files stays allowed here, or libxslt would not even ask the resolver.
_ACCESS = etree.XSLTAccessControl(read_network=False, write_file=False, create_dir=False, write_network=False)


class _Files:
    """The files of a style sheet: read once, and only below ``folders``."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folder.resolve() for folder in folders)
        # dict.setdefault is atomic; two threads that read the same file at once both get what one of them has read.
        self._read: dict[Path, bytes] = {}

    def read(self, path: Path) -> bytes:
        """Its content. Raises ValueError."""
        if path in self._read:
            return self._read[path]
        target = path.resolve()
        if not any(target.is_relative_to(folder) for folder in self._folders):
            folders = ", ".join(map(str, self._folders)) or "there are none"
            raise ValueError(f"{path}: expected a file in the folders of style sheets ({folders})")
        try:
            content = target.read_bytes()
        except OSError as err:
            raise ValueError(f"{path}: cannot be read: {err.strerror}") from err
        return self._read.setdefault(path, content)

    def all(self) -> list[tuple[Path, bytes]]:
        """Files that were read so far."""
        return list(self._read.items())


class _Resolver(etree.Resolver):
    """Resolves xsl:import, xsl:include and document(); a refused file is an error."""

    def __init__(self, files: _Files) -> None:
        self._files = files

    def resolve(self, system_url: str | None, public_id: str | None, context: Any) -> Any:
        """The file at that URL. Raises ValueError. Any: lxml keeps the types of context and answer to itself."""
        path = _path(system_url or "")
        return self.resolve_string(self._files.read(path), context, base_url=path.as_uri())


def _path(uri: str) -> Path:
    if uri.startswith("/"):
        return Path(uri)
    parts = urlsplit(uri)
    if parts.scheme.lower() != "file":
        raise ValueError(f"{uri}: expected a file: URI or an absolute path")
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise ValueError(f"{uri}: expected file: with the absolute path of a file on this host")
    return Path(unquote(parts.path))


def _where(err: etree.XSLTError) -> str:
    """The lines that libxslt names, for an administrator who looks for the mistake, and the kind of error."""
    lines = [f"{unquote(entry.filename.removeprefix('file://'))}:{entry.line}" for entry in err.error_log if entry.line]
    kinds = [entry.type_name for entry in err.error_log if entry.type_name != "ERR_OK"]
    return "".join([*(f", at {line}" for line in lines[:1]), *(f" ({kind})" for kind in kinds[:1])])


def _encodable_items(ds: Dataset) -> None:
    """Items that name a character set of their own, and hold text that it cannot encode, get another."""
    for element in ds:
        if element.VR != "SQ":
            continue
        for item in element.value:
            local = character_set(item)
            if local and (needed := unified(local, elements_of(item))) != local:
                item[SPECIFIC_CHARACTER_SET] = specific_character_set(needed)
            _encodable_items(item)
