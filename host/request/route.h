/*
 * From a URL's path to a file beneath the extension root, by Fossil's rules (its serverext page):
 * the longest leading part that names a file is it, and the rest is PATH_INFO; an executable file
 * is run, another is static content; a directory with a trailing / serves its index file. In the
 * part that names the file stand only letters, digits and _ - . / ; no element of it begins with .
 * or - , or is empty. PATH_INFO may hold any character but NUL, as CGI has it (RFC 3875, 4.1.5);
 * only an element . or .. is refused wherever it stands, since scripts open what PATH_INFO names.
 */
#ifndef EXTHOST_ROUTE_H
#define EXTHOST_ROUTE_H

#include <stdbool.h>
#include <sys/stat.h>

struct error;

enum route_kind { ROUTE_NOT_FOUND, ROUTE_SCRIPT, ROUTE_STATIC };

struct route {
	enum route_kind kind;
	int file; /* open for reading; what was checked is what is used */
	struct stat status;
	char *name;      /* beneath the root: "reports/month.py" */
	char *path_info; /* "/2026/11" or "" */
};

/*
 * Find the file for a path ("/reports/month.py/2026/11"). `root` is the root's descriptor. Links
 * are followed as long as they stay beneath the root. ROUTE_NOT_FOUND comes with the reason in *e.
 */
void route_find(struct route *r, int root, const char *path, struct error *e);

/*
 * The same for a script that the relay names by its absolute path, which must lie beneath
 * root_path; PATH_INFO is then Fossil's affair.
 */
void route_find_script(
    struct route *r, int root, const char *root_path, const char *script, struct error *e);

/*
 * What every path must keep, also where no file is looked for (an app with a socket of its own): no
 * element is . or .. . 0, or -1 with the reason in *e.
 */
int route_check_path(const char *path, struct error *e);

/*
 * Whether this whole path ("/app/models.py") may name a file: the rule above, without looking for
 * it.
 */
bool route_names_file(const char *path);

/* The media type for a static file's name, "text/css". Never NULL. */
const char *route_media_type(const char *name);

void route_release(struct route *r);

#endif
