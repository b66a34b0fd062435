"""Django's administration on SQLite: a login, an object that is added, changed and found."""

import re

import pytest

from support.frameworks import PATIENCE, WAYS, Browser, Site
from support.host import run_exthost

pytest.importorskip("django", reason="python3-django is not installed")

APP = r'''
import os
import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        SECRET_KEY="of a test", DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF="thing_urls",
        USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "@DATA@/db.sqlite",
                               "OPTIONS": {"timeout": 20}}},
        INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth",
                        "django.contrib.contenttypes", "django.contrib.sessions",
                        "django.contrib.messages"],
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware",
                    "django.contrib.sessions.middleware.SessionMiddleware",
                    "django.middleware.common.CommonMiddleware",
                    "django.middleware.csrf.CsrfViewMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware",
                    "django.contrib.messages.middleware.MessageMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                    "OPTIONS": {"context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages"]}}],
        STATIC_URL="/no-static/")
    django.setup()

from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
'''
URLS = '''
from django.contrib import admin
from django.http import StreamingHttpResponse
from django.urls import path


def stream(request):
    return StreamingHttpResponse((f"{i}\\n" for i in range(1000)), content_type="text/csv")


urlpatterns = [path("admin/", admin.site.urls), path("stream/", stream)]
'''
PREPARE = """
import thing
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
User.objects.create_superuser("ada", "ada@example.com", "sesame")
print(User.objects.count())
"""


@pytest.fixture(scope="module")
def site():
    made = Site(APP, {"thing_urls.py": URLS})
    try:
        # Django's own commands, with the interpreter that is to serve it.
        done = run_exthost("python", "-c", PREPARE, cwd=made.root, timeout=PATIENCE)
        assert done.stdout == b"1\n", done
        yield made
    finally:
        made.stop()


@pytest.fixture(params=[way for way in WAYS if way.endswith("app")])
def app_way(request):
    return request.param


def token(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]


def log_in(browser, password="sesame"):
    page = browser.ask("/admin/")
    assert page.status == 200 and page.url.startswith(browser.base + "/admin/login/?next="), page
    return browser.ask("/admin/login/", {"csrfmiddlewaretoken": token(page), "username": "ada",
                                         "password": password,
                                         "next": page.url.partition("next=")[2]})


def add_group(browser, name):
    page = browser.ask("/admin/auth/group/add/")
    page = browser.ask("/admin/auth/group/add/", {"csrfmiddlewaretoken": token(page), "name": name,
                                                  "_save": "Save"})
    assert page.status == 200 and page.url == browser.base + "/admin/auth/group/", page
    assert "was added successfully" in page.text and name in page.text
    return re.search(r'href="[^"]*/auth/group/(\d+)/change/[^"]*">' + name, page.text)[1]


def test_the_administrator_logs_in_and_adds_an_object(browser, way):
    page = log_in(browser)
    assert page.status == 200 and "Site administration" in page.text, page
    assert {cookie.name for cookie in browser.cookies} == {"csrftoken", "sessionid"}
    add_group(browser, f"Editors, {way} \u2713")


def test_an_object_is_changed_found_and_removed(site, app_way):
    browser = Browser(site.base(app_way))
    log_in(browser)
    group = add_group(browser, "Authors")
    page = browser.ask(f"/admin/auth/group/{group}/change/")
    page = browser.ask(f"/admin/auth/group/{group}/change/", {
        "csrfmiddlewaretoken": token(page), "name": "Renamed", "_save": "Save"})
    assert "was changed successfully" in page.text and "Renamed" in page.text
    assert "Renamed" in browser.ask("/admin/auth/group/?q=enam").text
    page = browser.ask(f"/admin/auth/group/{group}/delete/")
    page = browser.ask(f"/admin/auth/group/{group}/delete/", {"csrfmiddlewaretoken": token(page),
                                                              "post": "yes"})
    assert "was deleted successfully" in page.text


def test_a_wrong_password_and_a_missing_token_are_refused(site, app_way):
    browser = Browser(site.base(app_way))
    assert "Please enter the correct" in log_in(browser, "x").text
    reply = Browser(browser.base).ask("/admin/login/", {"username": "ada", "password": "sesame"})
    assert reply.status == 403 and "CSRF" in reply.text


def test_a_streamed_reply_and_a_page_that_is_not_there(browser):
    assert browser.ask("/stream/").text == "".join(f"{i}\n" for i in range(1000))
    assert browser.ask("/nothing/").status == 404
