"""The costly arithmetic: gathering values, the loss, the norm."""
