"""What every other room stands on: avals, ops, tensors, errors. It knows no op by name."""
