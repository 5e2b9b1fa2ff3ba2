"""Chapter 10: do weights condense, then expand?"""
