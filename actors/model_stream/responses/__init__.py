"""The Responses wire: `request` makes bodies, `decode` hears streams. Both pure."""
