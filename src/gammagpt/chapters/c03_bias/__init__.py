"""Chapter 3: reasoning or memory, which is learned first?"""
