"""Chapter 9: what holds small initialization back?"""
