"""Proofs: what a composition promises, shown on the network itself before it is trained."""
