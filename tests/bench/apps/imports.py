#!/usr/bin/python3
import json, html, sqlite3, urllib.parse, datetime
print("Content-Type: text/plain\n\nhello")
