"""The screens, one per file, in the order a person works; what they share lies in pages/shared."""
