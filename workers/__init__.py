"""The processes that work: deliver jobs, keep the clock, clean up. The only users of RQ."""
