"""Chapter 19: does small initialization train better, where no run collapses?"""
