"""Chapter 3: reasoning or memory, which does an initialization prefer?"""
