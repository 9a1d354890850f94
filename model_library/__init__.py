"""The ground floor: what a network is and how it is run, trained, packed and trusted."""
