"""The processes that work: deliver jobs, keep the clock, clean up. The only users of RQ.

(The panel looks at its books: api/admin/rq.py.)
"""
