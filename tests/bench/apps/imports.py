#!/usr/bin/python3
import json, html, sqlite3, urllib.parse, datetime  # noqa: what is measured is the import
print("Content-Type: text/plain\n\nhello")
