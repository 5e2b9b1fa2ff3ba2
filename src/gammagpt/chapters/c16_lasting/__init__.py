"""Chapter 16: does the gain last?"""
