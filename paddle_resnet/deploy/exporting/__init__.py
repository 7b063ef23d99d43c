"""The steps of an export: open the network, convert, quantise, prove, publish."""
