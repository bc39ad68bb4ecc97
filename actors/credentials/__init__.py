"""Credentials: the only actor that sees a secret. Others get ready headers for one request.

core.py   pure: which headers a provider needs, and what to say when a key is missing
actor.py  answers `GetHeaders` and `GetCredentialState`
"""
