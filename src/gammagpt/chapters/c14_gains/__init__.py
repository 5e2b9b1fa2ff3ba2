"""Chapter 14: which texts gain most?"""
