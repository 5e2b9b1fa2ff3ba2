"""Chapter 20: does small initialization reason before it remembers, beside the usual one?"""
