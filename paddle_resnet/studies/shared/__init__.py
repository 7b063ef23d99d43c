"""What several experiments need: images, networks, BN modes, walks through blocks, probes."""
