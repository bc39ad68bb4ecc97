"""TLS over any stream of the port, through memory buffers (`ssl.MemoryBIO`), so that it too can be read in rounds.

    plaintext  ⇄  SSLObject  ⇄  incoming / outgoing BIO  ⇄  transport (non-blocking)

Two things differ from a plain socket, and both are this file's business:

* **Decrypted data hides.** One read from the socket may bring several records, so a stream can hold data while its
  socket shows none: `has_pending` tells the rounds, and `try_receive` gathers records up to what was asked for.
* **Encrypted data cannot be taken back.** `try_send` may encrypt more than the socket takes. The ciphertext that is
  left stays here and goes out before anything else; and the last byte of what was encrypted is reported as taken only
  once all of it is out. So a caller who sees a short count comes back with exactly that byte in front (a byte stream
  has no other choice), it is recognised and skipped, and no ciphertext is ever stuck behind a caller who thinks that
  he is done. OpenSSL itself asks callers to repeat a short write for the same reason.

Rejected: trio.SSLStream (no sends and receives that do not wait) and ssl.wrap_socket (ties TLS to a descriptor).
"""

from __future__ import annotations

import contextlib
import ssl

import trio

from actors.ports.network import ByteStream
from actors.ports.production.round_pass import RoundStream
from actors.ports.production.sockets import drain

TRANSPORT_BYTES = 65536
"""One read of the transport: four full TLS records (RFC 8446 §5.1: 16 KiB each)."""

ENCRYPT_BYTES = 65536
"""`try_send` encrypts at most about so much ahead of the socket."""

RECORD_BYTES = 16384
"""The plaintext of one record."""

GOODBYE_SECONDS = 1.0
"""How long `aclose` tries to send its close_notify to a peer that does not read; the peer's own is not waited for."""


class TlsStream(RoundStream):
    """One TLS connection. Make it with `wrap`, which does the handshake."""

    def __init__(
        self, transport: ByteStream, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._transport = transport
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._unsent = b""
        self._first_byte_encrypted = False
        self._may_have_more = False
        self._end: Exception | None = None
        """Why nothing more will come: SSLZeroReturnError after an orderly goodbye, else what went wrong."""
        self._sending = False
        self._closed = False

    @classmethod
    async def wrap(
        cls,
        transport: ByteStream,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        server_side: bool = False,
    ) -> TlsStream:
        """Shake hands over ``transport``, which is closed if that fails or is cancelled.

        Raises ssl.SSLError (ssl.SSLCertVerificationError for a bad certificate) or trio.BrokenResourceError.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            tls = context.wrap_bio(incoming, outgoing, server_side=server_side, server_hostname=server_hostname)
            stream = cls(transport, tls, incoming, outgoing)
            await stream._shake_hands()
        except BaseException:
            transport.close_now()
            raise
        return stream

    def __repr__(self) -> str:
        return f"<TlsStream over {self._transport!r}>"

    @property
    def tls(self) -> ssl.SSLObject:
        """For the certificate, the protocol version and the negotiated ALPN protocol."""
        return self._tls

    @property
    def peer(self) -> str:
        return self._transport.peer

    def fileno(self) -> int:
        if self._closed or not isinstance(self._transport, RoundStream):
            return -1
        return self._transport.fileno()

    def has_pending(self) -> bool:
        return self._may_have_more and not self._closed

    # --- receiving --------------------------------------------------------------------------------------------------

    def try_receive(self, max_bytes: int) -> bytes | None:
        self._check_open()
        gathered: list[bytes] = []
        room = max_bytes
        fed = False
        while room > 0 and self._end is None:
            try:
                piece = self._tls.read(room)
            except ssl.SSLWantReadError:
                # One read of the transport per call: a flood on one stream must not hold up a round.
                if fed or not self._feed():
                    break
                fed = True
            except ssl.SSLError as error:
                self._end = error
            else:
                if not piece:  # the same goodbye, as Python words it when we have not said ours
                    self._end = ssl.SSLZeroReturnError()
                gathered.append(piece)
                room -= len(piece)
        if self._outgoing.pending:
            self._answer()
        # What ends a stream does not make its socket readable a second time, so it counts as more to come.
        self._may_have_more = bool(gathered) and (room == 0 or self._end is not None)
        if data := b"".join(gathered):
            return data
        if self._end is None:
            return None
        if isinstance(self._end, ssl.SSLZeroReturnError):
            return b""
        if isinstance(self._end, ssl.SSLEOFError):
            raise trio.BrokenResourceError("the connection ended without TLS's goodbye: data may be missing")
        raise trio.BrokenResourceError(f"the TLS connection broke: {self._end}") from self._end

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while (data := self.try_receive(TRANSPORT_BYTES if max_bytes is None else max_bytes)) is None:
            waited = True
            await self._feed_waiting()
            self._check_open()
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    def _feed(self) -> bool:
        """Move what the transport has now into the incoming buffer; False when there is nothing."""
        try:
            data = self._transport.try_receive(TRANSPORT_BYTES)
        except trio.BrokenResourceError as error:
            self._end = error
            return True
        if data is None:
            return False
        self._put(data)
        return True

    async def _feed_waiting(self) -> None:
        try:
            self._put(await self._transport.receive_some(TRANSPORT_BYTES))
        except trio.BrokenResourceError as error:
            self._end = error

    def _put(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _answer(self) -> None:
        """Send what reading produced (a key update's answer, an alert) as far as it goes; the rest goes first later."""
        with contextlib.suppress(trio.BrokenResourceError):
            self._push()

    # --- sending ----------------------------------------------------------------------------------------------------

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        self._check_open()
        with memoryview(data) as given, given.cast("B") as view:
            if len(view) == 0 or not self._push():
                return 0
            taken = 1 if self._first_byte_encrypted else 0
            self._first_byte_encrypted = False
            limit = min(len(view), ENCRYPT_BYTES)
            try:
                while taken < limit:
                    taken += self._tls.write(view[taken : taken + RECORD_BYTES])
            except ssl.SSLWantReadError as error:
                raise trio.BrokenResourceError("the peer wants to renegotiate TLS, which is not supported") from error
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(f"the TLS connection broke: {error}") from error
            if self._push():
                return taken
            self._first_byte_encrypted = True
            return taken - 1

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            waited = False
            with memoryview(data) as given, given.cast("B") as view:
                sent = self.try_send(view)
                while sent < len(view):
                    waited = True
                    await self.wait_writable()
                    sent += self.try_send(view[sent:])
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            self._sending = False

    async def wait_writable(self) -> None:
        self._check_open()
        while True:
            await self._transport.wait_writable()
            if self._push():
                return

    async def wait_send_all_might_not_block(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await self.wait_writable()

    def _push(self) -> bool:
        """Send ciphertext without waiting; whether all of it is out."""
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        while self._unsent:
            sent = self._transport.try_send(self._unsent)
            if sent == 0:
                return False
            self._unsent = self._unsent[sent:]
        return True

    async def _push_all(self) -> None:
        while not self._push():
            await self._transport.wait_writable()

    # --- beginning and end ------------------------------------------------------------------------------------------

    async def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._push_all()
                await self._feed_waiting()
                if isinstance(self._end, trio.BrokenResourceError):
                    raise self._end from None
            except ssl.SSLError:
                self._answer()  # the alert that tells the peer why
                raise
            else:
                await self._push_all()
                return

    def close_now(self) -> None:
        if not self._closed:
            self.leave_rounds()
            self._closed = True
            self._transport.close_now()

    async def aclose(self) -> None:
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        try:
            with trio.move_on_after(GOODBYE_SECONDS), contextlib.suppress(trio.BrokenResourceError):
                # unwrap writes our goodbye and then wants the peer's, for which there is no reason to wait.
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                await self._push_all()
            drain(self._transport)  # session tickets that nobody asked for, most of all
        finally:
            self.close_now()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed by this side")
