"""How an approved candidate reaches the scorers, and how a run finds the champion that it must beat."""
