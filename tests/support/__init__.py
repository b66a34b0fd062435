"""
What the suites of tests share; imported as `support.NAME`, with the folder tests/ on the path.
"""
