"""The gateway: everything between a client's socket and a session's mailbox and feed.

    socket ── websocket ── connection ── methods ──▶ session's mailbox
       ▲                       │
       └────── outlet ◀── watching ◀── cursors ◀──── session's feed

actor          listens; one connection actor per client
address        where to listen, and whether that is safe
entrance       letting clients in: TLS, the head of the request, who it is; bounded in time and number
certificate    our side of TLS
terms          the settings of the door as they are now
http_head      who is let in: host, origin, token, manners
capability     the owner's token
tokens         signed tokens: whose they are, whether they count
registry       the owner's list of them, and the key
failures       what a wrong token costs its sender
scopes         what a client must be allowed to do for each method
audit          who did what
transport      what carries messages: the protocol
websocket      one client's WebSocket: the library reads, we write
outlet         the way out: one write per round, nothing torn, nobody waited for
connection     one client: reading, dispatching, answering
rpc            how a message is read, what an error says, what a method is
handshake      initialize
caller         a connection as the methods see it
methods/       one file per resource
watching       what a connection watches, and the turns its threads take on the socket
catch_up       the log told again as events, for a client that fell behind
notifications  events as frames: the encoder of feeds and broadcasts
views          threads, turns and failures as they look on the wire
settings_patch what clients ask to run under, in our words
configuration  the settings as clients read and write them
exec_command   one-off commands of a client
house          what all of this needs of the rest of the daemon
"""
