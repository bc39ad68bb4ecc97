"""The whole daemon as a process, seen from outside: what it promises, what bad input does to it, what kill -9 leaves.

daemon.py   starts `callboard serve` in a home of its own, kills it, finds whatever was left of it in /proc
peer.py     a client that remembers every frame it was shown
model.py    a Responses server in the test's process that plays what a test tells it
outcome.py  how a thread ended up; deadline.py, stalled.py: waiting, and clients that never read
kill.py     `make kill`: kill -9 at random moments, again and again, and the laws that must hold after each
"""
