/*
 * From a URL's path to a file beneath the extension root, by Fossil's rules (its serverext page):
 * only letters, digits and _ - . / ; no element begins with . or - ; the longest leading part that
 * names a file is it, and the rest is PATH_INFO; an executable file is run, another is static
 * content; a folder named with a trailing / serves its index file.
 */
#ifndef EXTHOST_ROUTE_H
#define EXTHOST_ROUTE_H

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

/* The media type for a static file's name, "text/css". Never NULL. */
const char *route_media_type(const char *name);

void route_release(struct route *r);

#endif
