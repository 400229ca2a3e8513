"""Rules of `simplify`, by what they are about. Each holds exactly, signed zeros, infinities and NaNs included, or says otherwise."""
