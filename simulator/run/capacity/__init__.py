"""How much does a CHF hold: a search by steps, each of which is a run of its own."""
