"""Our side of TLS: the certificate to show, as the settings name it. Blocking."""

from __future__ import annotations

import posixpath
import ssl

from actors.gateway.address import ListenRefusedError
from messages.settings import ListenSettings


def server_context(options: ListenSettings, home: str) -> ssl.SSLContext:
    """TLS 1.2 and newer, with Python's choice of ciphers. Raises ListenRefusedError naming the file."""
    certificate = posixpath.join(home, options.tls_certificate or "")
    key = None if options.tls_key is None else posixpath.join(home, options.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        where = certificate if key is None else f"{certificate} with {key}"
        raise ListenRefusedError(f"the certificate {where} cannot be used: {error.strerror or error}") from error
    return context
