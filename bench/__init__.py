"""Measurements next to the peers, in one run: ``make bench`` or ``make bench ONLY=P1,P5``."""
