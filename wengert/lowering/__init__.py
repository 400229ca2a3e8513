"""Program → loop nests → LLVM IR."""
