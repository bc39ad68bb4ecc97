"""Finding files by a few letters of their paths: one implementation for the model's tool and the clients' pickers.

listing.py   the files and folders below a root that git does not ignore, by ripgrep, as a stream
ranking.py   which of them a few letters mean (pure)
"""
