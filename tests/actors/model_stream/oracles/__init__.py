"""Streams of every kind a provider sends, heard by us and by the official SDK: both must come to the same."""
