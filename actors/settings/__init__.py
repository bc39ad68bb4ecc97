"""Settings: the layers of configuration, merged and validated into one snapshot.

layers.py  pure: how a layer is read, merged, checked, and where each value came from
actor.py   answers `GetSettings`; nobody else reads the file or the environment
"""
