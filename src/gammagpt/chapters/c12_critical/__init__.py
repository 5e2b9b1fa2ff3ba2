"""Chapter 12: how small is too small?"""
