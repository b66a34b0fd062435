/*
 * What an executable file is: which language, and what is kept from earlier runs of it. Kept things
 * are valid until the file changes. Safe to call from any thread.
 */
#ifndef EXTHOST_SCRIPT_H
#define EXTHOST_SCRIPT_H

struct binding;
struct error;
struct scripts;
struct stat;

enum script_kind {
	SCRIPT_CGI,
	SCRIPT_APP,  /* named *.wsgi, or with a line "# exthost: app" among its first ten */
	SCRIPT_RERUN /* with a line "# exthost: rerun" there */
};

struct script_found {
	int language; /* index of the binding; -1: none */
	enum script_kind kind;
	int code; /* descriptor of what binding_keep_code kept, which the caller closes; or -1 */
};

/* NULL: no memory. */
struct scripts *scripts_create(const struct binding *const *bindings);

/* The languages that it was created with. */
const struct binding *const *scripts_bindings(const struct scripts *s);

/*
 * The language of an open script: told by the program in its shebang line (env is looked through;
 * after exthost-cgi stands the language's name), else by the suffix of its name. 0, or -1 with the
 * reason in *e: the script, the unknown program, word or option in its shebang line, and what is
 * known there. Nothing else is ever executed.
 */
int scripts_find(struct scripts *s, const char *name, int file, const struct stat *status,
    struct script_found *found, struct error *e);

/* Keep code (the descriptor is duplicated) for the file that has this status. */
void scripts_keep(struct scripts *s, const struct stat *status, int code);

void scripts_destroy(struct scripts *s);

#endif
