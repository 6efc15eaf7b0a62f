"""The commands of `fraud-ml`, one module a topic; each calls one room and prints what it answers."""
