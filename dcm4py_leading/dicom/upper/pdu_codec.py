"""The bytes of PDUs (PS3.8 9.3, PS3.7 D.3.3): encoded, decoded, and remembered where they come again. Pure.

P-DATA-TF, of which there are many, is no value: `fragments` takes one apart where it lies, `association` builds them.
pynetdicom's classes for these take 7 ms to decode a proposal of 128 presentation contexts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from dcm4py_leading.bounded_cache import BoundedCache
from dcm4py_leading.dicom.upper.pdu import (
    ABORT,
    APPLICATION_CONTEXT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    P_DATA_TF,
    RELEASE_RP,
    RELEASE_RQ,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    MalformedPdu,
    Pdu,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    UserIdentity,
    UserInformation,
)
from dcm4py_leading.model import bounds

_PDU_HEADER = struct.Struct(">BxL")
_ITEM_HEADER = struct.Struct(">BxH")
_PDV_HEADER = struct.Struct(">LBB")
_DATA_HEADER = struct.Struct(">BxLLBB")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">L")

_APPLICATION_CONTEXT, _CONTEXT_RQ, _CONTEXT_AC = 0x10, 0x20, 0x21
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX, _USER_INFORMATION = 0x30, 0x40, 0x50
_MAXIMUM_LENGTH, _IMPLEMENTATION_CLASS_UID, _ASYNCHRONOUS_OPERATIONS = 0x51, 0x52, 0x53
_ROLE_SELECTION, _IMPLEMENTATION_VERSION_NAME, _EXTENDED_NEGOTIATION = 0x54, 0x55, 0x56
_USER_IDENTITY_RQ, _USER_IDENTITY_AC = 0x58, 0x59


def encode(pdu: Pdu) -> bytes:
    """The bytes of a PDU."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(_proposed(context) for context in pdu.contexts)
            return _pdu(ASSOCIATE_RQ, _associate(pdu, contexts))
        case AssociateAccept():
            if pdu.encoded:
                return pdu.encoded
            contexts = b"".join(_answered(context) for context in pdu.contexts)
            return _pdu(ASSOCIATE_AC, _associate(pdu, contexts))
        case AssociateReject(result, source, reason):
            return _pdu(ASSOCIATE_RJ, bytes((0, result, source, reason)))
        case ReleaseRequest():
            return _pdu(RELEASE_RQ, bytes(4))
        case ReleaseResponse():
            return _pdu(RELEASE_RP, bytes(4))
        case Abort(source, reason):
            return _pdu(ABORT, bytes((0, 0, source, reason)))


def decode(pdu_type: int, body: memoryview) -> Pdu:
    """The PDU of this type with the bytes that follow its header; not for P-DATA-TF. Raises MalformedPdu."""
    try:
        match pdu_type:
            case 1:
                known = _requests.get(bytes(body)) if len(body) <= bounds.REMEMBERED_REQUEST_BYTES else None
                return known or _decode_request(body)
            case 2:
                return _decode_accept(body)
            case 3:
                return AssociateReject(body[1], body[2], body[3])
            case 5:
                return ReleaseRequest()
            case 6:
                return ReleaseResponse()
            case 7:
                return Abort(body[2], body[3])
    except (struct.error, IndexError, UnicodeDecodeError) as err:
        raise MalformedPdu(f"PDU of type {pdu_type} ends early or holds odd text") from err
    raise MalformedPdu(f"there is no PDU of type {pdu_type:#04x}")


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The presentation data values of a P-DATA-TF: context ID, message control header, bytes. Raises MalformedPdu."""
    at, size = 0, len(body)
    if not size:
        raise MalformedPdu("a P-DATA-TF has no presentation data value")
    while at < size:
        if size - at < 6:
            raise MalformedPdu("a presentation data value ends early")
        length, context_id, control = _PDV_HEADER.unpack_from(body, at)
        following = at + 4 + length
        if length < 2 or following > size:
            raise MalformedPdu("a presentation data value has a wrong length")
        yield context_id, control, body[at + 6 : following]
        at = following


def only_fragment(body: memoryview) -> tuple[int, int, memoryview] | None:
    """The presentation data value of a P-DATA-TF that has only one, as most have; else None. See `fragments`."""
    size = len(body)
    if size < 6:
        return None
    length, context_id, control = _PDV_HEADER.unpack_from(body)
    return (context_id, control, body[6:]) if length + 4 == size else None


def data_header(context_id: int, control: int, length: int) -> bytes:
    """Octets before ``length`` bytes of a message that make one P-DATA-TF with one presentation data value."""
    return _DATA_HEADER.pack(P_DATA_TF, length + 6, length + 2, context_id, control)


def _pdu(pdu_type: int, body: bytes) -> bytes:
    return _PDU_HEADER.pack(pdu_type, len(body)) + body


def _item(item_type: int, body: bytes) -> bytes:
    return _ITEM_HEADER.pack(item_type, len(body)) + body


def _text(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _title(text: str) -> bytes:
    return _text(text)[:16].ljust(16)


def _associate(pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    return (
        b"\0\x01\0\0"
        + (pdu.reserved or _title(pdu.called_ae_title) + _title(pdu.calling_ae_title) + bytes(32))
        + _item(_APPLICATION_CONTEXT, _text(APPLICATION_CONTEXT))
        + contexts
        + _item(_USER_INFORMATION, _user_information(pdu.user))
    )


def _proposed(context: ProposedContext) -> bytes:
    syntaxes = b"".join(_item(_TRANSFER_SYNTAX, _text(uid)) for uid in context.transfer_syntaxes)
    body = bytes((context.context_id, 0, 0, 0)) + _item(_ABSTRACT_SYNTAX, _text(context.abstract_syntax)) + syntaxes
    return _item(_CONTEXT_RQ, body)


_answers: BoundedCache[ContextResult, bytes] = BoundedCache(
    bounds.REMEMBERED_CONTEXTS_BYTES, max_value_size=bounds.REMEMBERED_CONTEXT_BYTES
)


def _answered(context: ContextResult) -> bytes:
    encoded = _answers.get(context)
    if encoded is None:
        syntax = _item(_TRANSFER_SYNTAX, _text(context.transfer_syntax))
        encoded = _item(_CONTEXT_AC, bytes((context.context_id, 0, context.result, 0)) + syntax)
        _answers.put(context, encoded, 2 * len(encoded))
    return encoded


def _user_information(user: UserInformation) -> bytes:
    items = [
        _item(_MAXIMUM_LENGTH, _U32.pack(user.maximum_length)),
        _item(_IMPLEMENTATION_CLASS_UID, _text(user.implementation_class_uid)),
    ]
    if user.asynchronous_operations is not None:
        items.append(_item(_ASYNCHRONOUS_OPERATIONS, struct.pack(">HH", *user.asynchronous_operations)))
    for uid, role in user.roles.items():
        items.append(_item(_ROLE_SELECTION, _counted(_text(uid)) + bytes((role.scu, role.scp))))
    if user.implementation_version_name:
        items.append(_item(_IMPLEMENTATION_VERSION_NAME, _text(user.implementation_version_name)))
    for uid, information in user.extended.items():
        items.append(_item(_EXTENDED_NEGOTIATION, _counted(_text(uid)) + information))
    if user.identity is not None:
        identity = user.identity
        start = bytes((identity.kind, identity.wants_response))
        items.append(_item(_USER_IDENTITY_RQ, start + _counted(identity.primary) + _counted(identity.secondary)))
    if user.identity_response is not None:
        items.append(_item(_USER_IDENTITY_AC, _counted(user.identity_response)))
    return b"".join(items)


def _counted(data: bytes) -> bytes:
    return _U16.pack(len(data)) + data


def _items(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    at, size = 0, len(body)
    while at < size:
        item_type, length = _ITEM_HEADER.unpack_from(body, at)
        at += 4 + length
        if at > size:
            raise MalformedPdu(f"an item of type {item_type:#04x} ends outside of the PDU")
        yield item_type, body[at - length : at]


def _uid(value: memoryview) -> str:
    return str(value, "ascii").rstrip("\0 ")


def _titles(body: memoryview) -> tuple[str, str]:
    if len(body) < 68:
        raise MalformedPdu("the association PDU ends early")
    called, calling = bytes(body[4:20]), bytes(body[20:36])
    # An AE title is ASCII; another one is refused as it came, and told so.
    return called.decode("latin-1").strip(" \0"), calling.decode("latin-1").strip(" \0")


def _decode_request(body: memoryview) -> AssociateRequest:
    called, calling = _titles(body)
    application_context, user = "", None
    contexts: list[ProposedContext] = []
    new: list[bytes] = []
    for item_type, value in _items(body[68:]):
        if item_type == _APPLICATION_CONTEXT:
            application_context = _uid(value)
        elif item_type == _CONTEXT_RQ:
            encoded = bytes(value)
            context = _contexts.get(encoded)
            if context is None:
                context = _proposed_context(encoded)
                new.append(encoded)
            contexts.append(context)
        elif item_type == _USER_INFORMATION:
            user = _decode_user_information(value)
    if user is None:
        raise MalformedPdu("an association request has no User Information")
    is_open = user.identity is None and len(body) <= bounds.REMEMBERED_REQUEST_BYTES
    return AssociateRequest(
        called_ae_title=called,
        calling_ae_title=calling,
        contexts=tuple(contexts),
        user=user,
        application_context=application_context,
        protocol_version=_U16.unpack_from(body, 0)[0],
        reserved=bytes(body[4:68]),
        encoded_contexts=tuple(new),
        encoded=bytes(body) if is_open else b"",
    )


_requests: BoundedCache[bytes, AssociateRequest] = BoundedCache(
    bounds.REMEMBERED_REQUESTS_BYTES, max_value_size=3 * bounds.REMEMBERED_REQUEST_BYTES
)
_contexts: BoundedCache[bytes, ProposedContext] = BoundedCache(
    bounds.REMEMBERED_CONTEXTS_BYTES, max_value_size=bounds.REMEMBERED_CONTEXT_BYTES
)


def remember(request: AssociateRequest) -> None:
    """Keep what was decoded of a request: modalities ask the same, or propose the same contexts, again and again.

    Only of one whose sender was admitted: a stranger leaves nothing behind.
    """
    for encoded in request.encoded_contexts:
        if len(encoded) <= bounds.REMEMBERED_CONTEXT_BYTES:
            _contexts.put(encoded, _proposed_context(encoded), len(encoded))
    if request.encoded and _requests.get(request.encoded) is None:
        again = _decode_request(memoryview(request.encoded))
        _requests.put(request.encoded, replace(again, encoded=request.encoded), 3 * len(request.encoded))


def _proposed_context(value: bytes) -> ProposedContext:
    abstract_syntax, transfer_syntaxes = "", []
    for item_type, uid in _items(memoryview(value)[4:]):
        if item_type == _ABSTRACT_SYNTAX:
            abstract_syntax = _uid(uid)
        elif item_type == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(_uid(uid))
    return ProposedContext(value[0], abstract_syntax, tuple(transfer_syntaxes))


def _decode_accept(body: memoryview) -> AssociateAccept:
    called, calling = _titles(body)
    contexts: list[ContextResult] = []
    user = None
    for item_type, value in _items(body[68:]):
        if item_type == _CONTEXT_AC:
            syntaxes = [_uid(uid) for inner, uid in _items(value[4:]) if inner == _TRANSFER_SYNTAX]
            contexts.append(ContextResult(value[0], value[2], syntaxes[0] if syntaxes else ""))
        elif item_type == _USER_INFORMATION:
            user = _decode_user_information(value)
    if user is None:
        raise MalformedPdu("an association acceptance has no User Information")
    return AssociateAccept(called_ae_title=called, calling_ae_title=calling, contexts=tuple(contexts), user=user)


def _decode_user_information(body: memoryview) -> UserInformation:
    maximum_length, class_uid, version_name = 0, "", ""
    window: tuple[int, int] | None = None
    roles: dict[str, Role] = {}
    extended: dict[str, bytes] = {}
    identity, identity_response = None, None
    for item_type, value in _items(body):
        if item_type == _MAXIMUM_LENGTH:
            maximum_length = _U32.unpack(value)[0]
        elif item_type == _IMPLEMENTATION_CLASS_UID:
            class_uid = _uid(value)
        elif item_type == _IMPLEMENTATION_VERSION_NAME:
            version_name = str(value, "ascii", "replace").strip(" \0")
        elif item_type == _ASYNCHRONOUS_OPERATIONS:
            invoked, performed = struct.unpack(">HH", value)
            window = invoked, performed
        elif item_type == _ROLE_SELECTION:
            uid, rest = _take_counted(value)
            roles[_uid(uid)] = Role(scu=rest[0] == 1, scp=rest[1] == 1)
        elif item_type == _EXTENDED_NEGOTIATION:
            uid, rest = _take_counted(value)
            extended[_uid(uid)] = bytes(rest)
        elif item_type == _USER_IDENTITY_RQ:
            primary, rest = _take_counted(value[2:])
            secondary = _take_counted(rest)[0]
            identity = UserIdentity(
                kind=value[0], wants_response=value[1] == 1, primary=bytes(primary), secondary=bytes(secondary)
            )
        elif item_type == _USER_IDENTITY_AC:
            identity_response = bytes(_take_counted(value)[0])
    return UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=class_uid,
        implementation_version_name=version_name,
        asynchronous_operations=window,
        roles=roles,
        extended=extended,
        identity=identity,
        identity_response=identity_response,
    )


def _take_counted(value: memoryview) -> tuple[memoryview, memoryview]:
    end = 2 + _U16.unpack_from(value, 0)[0]
    if end > len(value):
        raise MalformedPdu("an item of the User Information ends early")
    return value[2:end], value[end:]
