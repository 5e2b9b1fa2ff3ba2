"""Chapter 2: does a smaller initialization train better, where no run collapses?"""
