/* What can be set, on the command line and in the configuration file: the values. */
#ifndef EXTHOST_CONFIG_H
#define EXTHOST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binding;
struct error;

/* Values of an option that may be given more than once, in the order given. */
struct config_list {
	char **items;
	size_t count;
};

/* Put a copy of the value behind the others. 0, or -1 when memory is out. */
int config_list_append(struct config_list *list, const char *value);

/* Free all; the list is empty again. */
void config_list_release(struct config_list *list);

/* The same values in the same order. */
bool config_list_same(const struct config_list *a, const struct config_list *b);

/* *to, which is released, becomes a copy. 0, or -1 when memory is out. */
int config_list_copy(struct config_list *to, const struct config_list *from);

/* Environment variables as options give them. */
struct config_environment {
	struct config_list env;       /* NAME=VALUE */
	struct config_list env_file;  /* absolute paths */
	struct config_list env_pass;  /* names */
	struct config_list variables; /* what the three come to: environment_read */
};

/*
 * The limits of a run. All are uint64_t, so that a section can override them one by one; UINT64_MAX
 * is "unlimited".
 */
struct limits {
	uint64_t timeout;   /* seconds it may take */
	uint64_t cpu;       /* seconds of processor time */
	uint64_t memory;    /* bytes, beyond what the interpreter has */
	uint64_t processes; /* that it may start */
	uint64_t lane;      /* runs of one extension at once */
	uint64_t max_body;  /* bytes */
	uint64_t max_reply; /* bytes, of a reply that is held to its end */
	/* and of an app: */
	uint64_t workers;      /* the most */
	uint64_t min_workers;  /* those that stay */
	uint64_t idle_exit;    /* seconds after which a further one ends */
	uint64_t max_requests; /* of one worker */
	uint64_t max_rss;      /* bytes; a worker that has more is replaced */
};

#define LANGUAGE_SETTINGS_MAX 16 /* of all languages together */

/* Settings of an extension that are texts. "": none; in a section NULL: not set. */
struct extension_settings {
	char *mode;   /* "auto", "cgi", "app" or "rerun" */
	char *reload; /* "keep" or "strict" */
	/* "yes", "no" or patterns of static_content.h: which files that are not run may be sent */
	char *static_content;
	/*
	 * The values of the languages' own settings: those that the first binding declares in its
	 * order, then those of the next one. config_language_values knows where a language's begin.
	 */
	char *languages[LANGUAGE_SETTINGS_MAX];
	const struct binding *const *bindings; /* these languages; in a section NULL */
};

/* [service NAME] in the configuration file: a program that the master keeps running. */
struct config_service {
	char *name;
	struct config_list run;      /* its command line, in pieces that belong together */
	char *script;                /* or a script that exthost itself runs */
	struct config_list writable; /* files and directories that it writes to */
	struct config_environment environment; /* `variables`: with those of all extensions */
	char *restart;                         /* "always", "on-failure" or "never" */
	uint64_t restart_delay;                /* seconds */
};

/* [extension PATTERN] in the configuration file. */
struct config_section {
	char *pattern; /* of a path beneath the root, fnmatch(3) */
	struct limits limits;
	struct extension_settings extension;
	struct config_environment environment;
	unsigned given; /* bit n: the nth member of limits is set here; of extension, if not NULL */
};

#define APP_LISTEN_MAX 4 /* sockets of one app */

/* [app NAME] in the configuration file: an app that serves sockets of its own. */
struct config_app {
	char *name;
	char *script; /* a path beneath the root, or an absolute one there */
	struct config_list listen;
	char *prefix;
	uint64_t workers;
	struct config_section own; /* what is set here of what a section [extension] may set */
};

struct config {
	/* for every command that serves */
	char *root; /* absolute, links resolved, once config_finish has run */
	bool debug;
	bool validate;
	char *tmpdir;
	struct limits limits; /* where no section says otherwise, */
	struct extension_settings extension;
	struct config_environment environment;
	struct config_section *sections;
	size_t section_count;
	struct config_service service; /* what a section that says nothing has */
	struct config_service *services;
	size_t service_count;
	struct config_app app; /* what a section that says nothing has */
	struct config_app *apps;
	size_t app_count;
	uint64_t max_header;
	uint64_t reply_buffer;
	struct config_list preload;
	/* serve */
	char *config_file;
	char *only_app; /* --app: nothing but this is served, at `listen` */
	struct config_list listen;
	char *prefix;
	struct config_list allow_uid; /* numbers, once config_check_read has checked them */
	struct config_list allow_gid;
	struct config_list allow_from;
	uint64_t spares;
	uint64_t max_connections;
	uint64_t concurrency;
	uint64_t queue;
	uint64_t queue_timeout; /* seconds */
	uint64_t body_timeout;  /* seconds, for the body of a request to come */
	uint64_t grace;         /* seconds */
	char *control;          /* where `exthost status` asks; "none": nowhere; "": in the root */
	char *metrics;          /* the URL path of Prometheus' text; "": none */
	char *log;
	char *log_format; /* "text" or "json" */
	/* status */
	bool json;
	bool watch;
	bool check;
	char *stack; /* the id of a request */
	/* request */
	char *body;
	struct config_list header;
	struct config_list env;
	bool cgi;
};

/* The commands an option belongs to. */
enum config_command {
	CONFIG_SERVE = 1,
	CONFIG_REQUEST = 2,
	CONFIG_STATUS = 8,
	CONFIG_CHECK = 16,
	CONFIG_SERVICE = 64, /* no command, but a section [service NAME], */
	CONFIG_APP = 128,    /* or [app NAME] */
	/* and what else there is to say of an option: */
	CONFIG_EXTENSION = 4, /* it may stand in a section */
	CONFIG_FIXED = 32     /* a reload does not change it */
};

/*
 * What the option table cannot judge of a value in the file: 0, or -1 with *e, which then gets the
 * file, the line and the key in front.
 */
struct config_check {
	int (*check)(const void *context, const char *name, const char *value, struct error *e);
	const void *context;
};

/* The limits of this extension (its path beneath the root): the last section that matches wins. */
void config_limits(const struct config *config, const char *name, struct limits *limits);

/* Its extension, likewise; the strings are the configuration's. */
void config_extension_settings(
    const struct config *config, const char *name, struct extension_settings *extension);

/*
 * The values of this language's own settings, in the order in which its binding declares them. It
 * is one of extension->bindings; NULL if it is not.
 */
char *const *config_language_values(
    const struct extension_settings *extension, const struct binding *binding);

/* Free the values of all languages' own settings, which the caller has made. */
void config_release_language_values(struct extension_settings *extension);

/* The section [app NAME] of this name, or NULL. */
const struct config_app *config_find_app(const struct config *config, const char *name);

/* What this section sets, in the place of what was there. */
void config_override(const struct config_section *section, struct limits *limits,
    struct extension_settings *extension);

/* The largest max_body of all; what is larger need not be read to know that it is refused. */
uint64_t config_largest_body(const struct config *config);

#endif
