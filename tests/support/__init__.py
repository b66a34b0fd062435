"""
What the suites of tests share; imported as `support.NAME`, with the directory tests/ on the path.
"""
