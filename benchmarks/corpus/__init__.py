"""A corpus of broken snapshots, and of clean ones, that says what the validation room notices and what it does not.

    family.py    what a fault family is, and the table of them (FAMILIES)
    scenes.py    clean ground: an accepted history of claims and the delivery that arrives next, for each data set
    faults/      the families: each a function from a clean delivery to a broken one, by severity and seed
    clean.py     harmless changes, which nobody should stop
    landing.py   deliveries through landing and folding
    asking.py    what callers ask the live model about
    judging.py   a broken delivery through landing, freezing, folding and judging, as a snapshot goes
    runs.py      all of them, several at a time

A fault happens where it happens in life: in the cells that the source exports, in the file that carries them, in the
frozen partitions, or in what callers ask about. Everything that can still arrive is landed, folded with the history and
judged. A snapshot counts as caught when landing refuses the delivery, the frozen copy is found tampered with, the
verdict rejects, or a finding with one of the family's codes fails (rows set aside, a warning). What the clean scene or
its history shows anyway does not count: the same code of the same column and month, that stops or warns as there. A
month that stops is news where only an earlier one warned.

Rules are tuned on the scenes of TUNING_SEEDS; what is published is measured on MEASURING_SEEDS, other customers, other
insurers and other quarters (of the same ten, some of whose months overlap), on which nothing was tuned. Seeds that were
measured on and then looked at become tuning seeds: 303 and 304 were the first.
"""

TUNING_SEEDS = (101, 102, 303, 304)
MEASURING_SEEDS = (505, 606)
