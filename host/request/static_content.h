/* Which of the files that are not run may be sent to a client. */
#ifndef EXTHOST_STATIC_CONTENT_H
#define EXTHOST_STATIC_CONTENT_H

#include <stdbool.h>

struct binding;

/*
 * NULL: this file, which is not executable, may be sent. Else what it is, "source". Never sent,
 * whatever the configuration says, are
 *  - source: a file with a #! line, with a suffix of a language (.py .wsgi .tcl), of compiled
 *    Python or of a Tcl module (.pyc .pyo .pyw .pyi .tm), or in a directory __pycache__;
 *  - databases: a file that begins as SQLite's do (so does a Fossil repository), or with a suffix
 *    .db, .sqlite* or .fossil; and the files that SQLite puts beside a database, whose names end
 *    with -wal, -shm or -journal;
 *  - keys and settings: a PEM file with a private key, or a suffix .env .key .pem .p12 .pfx .ini
 *    .conf .cfg.
 * A suffix counts wherever it stands behind the first dot of the name (settings.py.bak), in either
 * case, with a number behind it (.db3), and with -wal, -shm or -journal (x.db-wal.old); at the end
 * of the name with any other word too (.py-old, .db_2026).
 */
const char *static_content_secret(
    const struct binding *const *bindings, const char *name, int file);

/*
 * Whether the option `static` offers this file: "yes", "no", or patterns of names beneath the root
 * with blanks between (fnmatch(3); an asterisk matches slashes too).
 */
bool static_content_is_offered(const char *option, const char *name);

#endif
