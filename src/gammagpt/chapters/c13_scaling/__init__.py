"""Chapter 13: does the gain grow with the model?"""
