"""Model servers on this machine: Ollama and LM Studio. Found, listed, and told to download a model.

    servers.py    asking them over HTTP
    ollama.py     pure: what Ollama answers
    lmstudio.py   pure: what LM Studio answers
    listing.py    pure: a provider's list of models, whoever it is
    progress.py   pure: a download, layer by layer

Used by the command line; the daemon needs none of it to ask a local model, which is a provider like any other.
"""
