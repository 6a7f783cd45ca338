# Shorthands; each chore explains itself with --help.

# What CI runs.
ci:
    .ci/run

# Everything that must hold before a change goes in.
test *args:
    cargo xtask test {{args}}

# lanesync beside rsync and other tools.
bench *args:
    cargo xtask bench {{args}}

# The rules of the house.
tidy:
    cargo xtask tidy
