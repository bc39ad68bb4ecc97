"""Our side of TLS: the certificate to show, as the settings name it. Blocking."""

from __future__ import annotations

import posixpath
import ssl

from actors.gateway.address import ListenRefusedError
from actors.ports import Files
from messages.settings import ListenSettings

EVERYBODY = 0o007
"""A group may share a key (Debian's ``ssl-cert``); everybody on the machine may not."""


def server_context(options: ListenSettings, home: str, files: Files) -> ssl.SSLContext:
    """TLS 1.2 and newer, with Python's choice of ciphers. Raises ListenRefusedError naming the file."""
    certificate = posixpath.join(home, options.tls_certificate or "")
    key = None if options.tls_key is None else posixpath.join(home, options.tls_key)
    stat = None if key is None else files.stat(key)
    if stat is not None and stat.mode & EVERYBODY:
        raise ListenRefusedError(
            f"everybody on this machine can read {key} (mode {stat.mode:04o}), and who has it can pose as this daemon; "
            f"make another key, or, if nobody can have read it, chmod 600 {key}"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        where = certificate if key is None else f"{certificate} with {key}"
        raise ListenRefusedError(f"the certificate {where} cannot be used: {error.strerror or error}") from error
    return context
