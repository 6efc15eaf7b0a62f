"""What a claim's parties were known for when the claim was first recorded: its columns `network_…`.

Which columns name parties, the contract's section `network` says; without it nothing here runs. A party (a person, a
garage, a telephone, …) is linked to a claim from the first row on that names it there; a later row that names another
takes nothing back. A claim is scored at the moment of its first row, and sees what was recorded strictly before: links
no older than `window_days`, and each claim's outcome as its last row told it. So its columns never change when the log
goes on. They are, for each column of parties (of several parties in a cell, together) and for the claim as a whole:

    network_<column>_claims       earlier claims linked to the party
    network_<column>_confirmed    how many of them were known to be fraud
    network_<column>_fraud_share  … of those whose outcome was known; missing where none was
    network_<kind>_reached        other parties of the kind in the earlier claims of the claim's parties (`reach`)
    network_ring_score            how much known fraud lies near, through whomever (`ring`)

Where a cell names nobody, or somebody who was erased, the party's columns are missing.

Read `write`; then `graph` (the log becomes claims, links and outcomes), `counts`, `reach` and `ring` (one a group of
columns). Everything is counted in whole numbers, so that the order in which threads add cannot change a byte. The leak
check computes the same a second time, slowly (features/network_replay.py).
"""

from fraud_ml.features.network.write import network_of, read_network, write_network

__all__ = ["network_of", "read_network", "write_network"]
