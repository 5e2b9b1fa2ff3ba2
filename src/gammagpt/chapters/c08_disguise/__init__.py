"""Chapter 8: is gamma a learning rate in disguise?"""
