"""Sending of DIMSE messages: cut into P-DATA-TF without a copy (PS3.8 E), several with one system call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from dcm4py_leading.dataset.scan import Buffer
from dcm4py_leading.dicom.upper import command as dimse
from dcm4py_leading.dicom.upper.command import Command
from dcm4py_leading.dicom.upper.dimse_message import PresentationContext, SentObject
from dcm4py_leading.dicom.upper.failures import AssociationFailed
from dcm4py_leading.dicom.upper.fragmenting import Fragmenter, without_last
from dcm4py_leading.dicom.upper.link import Link, LinkEnded, LinkTimeout, SourceUnreadable
from dcm4py_leading.errors import StorageUnavailable


class MessageSender:
    """The sending half of an `association.Association`."""

    def __init__(self, link: Link, peer_maximum_length: int, *, reads_while_sending: bool) -> None:
        """``peer_maximum_length`` is the longest P-DATA-TF that the peer accepts; 0: no limit."""
        self.link = link
        self._fragmenter = Fragmenter(peer_maximum_length)
        self.takes_data_sets = self._fragmenter.takes_data_sets
        """True if the peer takes P-DATA-TF long enough to be sent data sets."""
        self._reads_while_sending = reads_while_sending
        self._outbox: list[Buffer] = []
        self.sent: defaultdict[int | str, int] = defaultdict(int)
        """Number of messages sent, by Command Field; two threads that send at once may lose one of the count."""

    def send(self, messages: Iterable[tuple[int, Command, bytes | None]]) -> None:
        """Send messages, each in the presentation context of that ID, with one system call.

        Raises AssociationFailed, also if the peer does not read them in time.
        """
        buffers: list[Buffer] = []
        for context_id, command, data in messages:
            data_set_type = dimse.NO_DATA_SET if data is None else 1
            self.sent[command[dimse.COMMAND_FIELD]] += 1
            buffers += self._fragmenter.command(
                context_id, dimse.encode({**command, dimse.DATA_SET_TYPE: data_set_type})
            )
            if data is not None:
                buffers += self._fragmenter.data_set(context_id, [data], len(data), len(data))
        self._send(buffers)

    def send_later(self, context_id: int, command_field: int, encoded: bytes) -> None:
        """Queue a command without a data set; sent with the next message, at the latest before a wait for the peer.

        Only for the receiving thread.
        """
        self.sent[command_field] += 1
        self._outbox += self._fragmenter.command(context_id, encoded)

    def say_before_abort(self, context_id: int, command: Command | None) -> None:
        """Set a command without a data set to send before an abort, if possible; None: none."""
        words = b""
        if command is not None:
            encoded = dimse.encode({**command, dimse.DATA_SET_TYPE: dimse.NO_DATA_SET})
            words = b"".join(self._fragmenter.command(context_id, encoded))
        self.link.last_words = words

    def send_each(self, context_id: int, command: Command, data_sets: Iterable[bytes]) -> None:
        """Send the same command with each of the data sets, with one system call. Raises as `send`."""
        buffers: list[Buffer] = []
        repeated = self._fragmenter.command(context_id, dimse.encode({**command, dimse.DATA_SET_TYPE: 1}))
        count = 0
        for data in data_sets:
            count += 1
            buffers += repeated
            buffers += self._fragmenter.data_set(context_id, [data], len(data), len(data))
        self.sent[command[dimse.COMMAND_FIELD]] += count
        self._send(buffers)

    def _flush(self) -> None:
        """Send the queued commands."""
        if self._outbox:
            self._send((), reads=self._reads_while_sending)

    def send_object(self, context: PresentationContext, command: bytes, obj: SentObject) -> None:
        """Send a message with the data set of ``obj``, read from its source in batches. Raises as `send`.

        Only for the receiving thread.
        """
        buffers = self._fragmenter.command(context.context_id, command)
        left = obj.length
        odd = b""
        has_begun = False
        try:
            for batch in obj.batches(for_system=not self.link.is_tls):
                size = sum(map(len, batch))
                if odd:
                    batch, size, odd = [odd, *batch], size + 1, b""
                if size & 1 and size < left:
                    # The last octet goes with the next batch: each fragment but the last has an even length.
                    batch, odd = without_last(batch)
                    size -= 1
                if not size and not buffers:
                    continue  # no fragment may follow the last one
                buffers += self._fragmenter.data_set(context.context_id, batch, size, left)
                has_begun = True
                self._send(buffers, reads=self._reads_while_sending)
                left -= size
                buffers = []
        except BaseException:  # after any error: the peer must not take a part for the whole object
            if has_begun:
                self.link.abort()
            raise

    def _send(self, buffers: Sequence[Buffer], *, reads: bool = False) -> None:
        if self._outbox:
            buffers = [*self._outbox, *buffers]
            self._outbox = []
        try:
            self.link.send_data(buffers, reads=reads)
        except LinkTimeout as err:
            self.link.abort()
            raise AssociationFailed(str(err)) from err
        except SourceUnreadable as err:
            raise StorageUnavailable(str(err)) from err
        except LinkEnded as err:
            raise AssociationFailed(str(err)) from err
