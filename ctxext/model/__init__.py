"""The networks: a decoder with the three seams, and the LSTM."""
