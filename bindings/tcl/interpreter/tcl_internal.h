/*
 * What the files of this binding share, and the only place where tcl.h is included.
 *
 * Unless said otherwise a function that returns TCL_ERROR leaves its message in the interpreter's
 * result, and what returns to the host leaves the interpreter with no result and no error.
 *
 * Written for Tcl 8.6 and 9.0: lengths are Tcl_Size, and nothing is used that 9.0 took away.
 */
#ifndef EXTHOST_TCL_INTERNAL_H
#define EXTHOST_TCL_INTERNAL_H

#include <tcl.h>

#include <stdbool.h>

#ifndef TCL_SIZE_MAX
typedef int Tcl_Size;
#endif

struct binding_run;
struct error;

/* tcl_shell.c: what tclsh does before its script, and tclsh itself. */

/*
 * Make of a new interpreter what tclsh has when it starts a script, with the host's own packages
 * at the end of auto_path. The system encoding is the locale's afterwards, as in tclsh.
 */
int tcl_shell_init(Tcl_Interp *interp);

/*
 * The same at a fraction of the price, by copying from one that has been made like this. The path
 * of modules is not made (tcl_packages_share knows what is on it).
 */
int tcl_shell_init_like(Tcl_Interp *interp, Tcl_Interp *first);

/* struct binding: interpret. */
int tcl_shell_interpret(int argc, char **argv);

/* tcl_packages.c: which packages the template has, and which ones a script brought. */

/*
 * Read the index of the installed packages, and take note of what `package` does from now on. 0,
 * or -1 with *e filled.
 */
int tcl_packages_start(Tcl_Interp *interp, struct error *e);

/*
 * Let a new interpreter have the same index, and load what tcl_packages_learn was given. 0, or -1:
 * that failed, and will not be tried again with another one.
 */
int tcl_packages_share(Tcl_Interp *interp, Tcl_Interp *from);

/* What a script has brought into an interpreter that shares the index, the next ones shall have. */
void tcl_packages_learn(Tcl_Interp *interp, Tcl_Interp *from);

/* Load one package. 0, or -1 with *e filled. */
int tcl_packages_preload(Tcl_Interp *interp, const char *name, struct error *e);

/* Tell the host which installed packages the script loaded. */
void tcl_packages_notice(Tcl_Interp *interp, struct binding_run *run);

/* tcl_clock.c */

/* Let a new interpreter ask another one, which has `clock` loaded, for what `clock` answers. */
void tcl_clock_share(Tcl_Interp *interp, Tcl_Interp *first);

/* tcl_wapp.c */

/* From now on `package require wapp` finds wapp.tcl beside the script, or says what is missing. */
void tcl_wapp_watch(Tcl_Interp *interp);

/*
 * If the script's first line names wapptclsh, or the plain interpreter was called by that name:
 * load sqlite3 and wapp, or let what needs them say what is missing. Returns a Tcl completion code.
 */
int tcl_wapp_begin(Tcl_Interp *interp, int source);
int tcl_wapp_called(Tcl_Interp *interp, const char *name);

/* An app begins to be loaded, or is loaded: until then wapp-start is refused. */
void tcl_wapp_load(Tcl_Interp *interp, bool begins);

/* Before a request of an app: wapp knows nothing of an earlier one. */
void tcl_wapp_renew(Tcl_Interp *interp);

/* tcl_path.c: tcl-path. */

/*
 * Make `package require` find what is in these folders (':' between; NULL is none) before all
 * else: packages with an index, modules, and plain scripts that provide a package.
 */
void tcl_path_add(Tcl_Interp *interp, const char *folders);

/* tcl_provide.c */

/* Make known to `package` what this script, if there is one, says that it provides. */
void tcl_provide_declare(Tcl_Interp *interp, Tcl_Obj *path);

/* tcl_encoding.c */

/*
 * From now on `encoding system` gives its encoding to the standard channels too, as long as the
 * script has used no channel.
 */
void tcl_encoding_watch(Tcl_Interp *interp);

/* What has been done with channels until now is not the script's. */
void tcl_encoding_begin(Tcl_Interp *interp);

/* Something has used a channel since then. */
bool tcl_encoding_has_begun(Tcl_Interp *interp);

/* tcl_stack.c */

/* Once, in the template. */
void tcl_stack_start(Tcl_Interp *interp);

/* From now on it is this interpreter whose stack is asked for. */
void tcl_stack_move(Tcl_Interp *interp);

/* struct binding: stack. */
bool tcl_stack(struct binding_run *run, int file);

/* tcl_trial.c */

/*
 * Load a package in a process made for it, to learn whether the template may: 0, or -1 with *e
 * filled when it fails, hangs, or leaves a thread or an open descriptor behind.
 */
int tcl_trial_package(Tcl_Interp *interp, const char *name, struct error *e);

/* The names in a folder of /proc. -1: it cannot be read. */
int tcl_trial_count(const char *folder);

/* tcl_environment.c: ::env, and what Tcl once derived from the environment. */

/*
 * Put an environment in place of environ(7) that has nothing of the host's, and UTF-8 for its locale.
 * Returns the old one, or NULL if there is no memory.
 */
char **tcl_environment_lend(void);

/* Put the old environment back. old may be NULL. */
void tcl_environment_return(char **old);

/* The environment names a locale for messages other than C. */
bool tcl_environment_has_locale(void);

/* environ(7) was replaced: make ::env and the locale of messages follow it. */
void tcl_environment_follow(Tcl_Interp *interp);

/*
 * Let the environment be a copy of this one, and ::env follow it, at the price of what changes. 0,
 * or -1: no memory.
 */
int tcl_environment_replace(Tcl_Interp *interp, char *const *environment);

/* Let the environment be this one itself. ::env of the interpreter is of no use afterwards. */
void tcl_environment_leave(Tcl_Interp *interp, char **environment);

/* tcl_source.c */

/*
 * What `tclsh path`, or wapptclsh if that is in its first line, does with its script, but with the
 * text from this open descriptor, which is closed. Returns a Tcl completion code.
 */
int tcl_source_evaluate(Tcl_Interp *interp, Tcl_Obj *path, int descriptor);

/* tcl_run.c */

/*
 * Set what a script finds: argv0 and its like, and a state of rand() of its own. Returns the path
 * of the script as a word, with a reference.
 */
Tcl_Obj *tcl_run_prepare(Tcl_Interp *interp, const char *script);

/* struct binding: run. */
void tcl_run(Tcl_Interp *interp, struct binding_run *run) __attribute__((noreturn));

/* End the process as tclsh does after its script. */
void tcl_run_leave(Tcl_Interp *interp, int status) __attribute__((noreturn));

/* tcl_end.c */

/* Look up what an end needs. */
int tcl_end_start(Tcl_Interp *interp);

/* From now on Tcl_Exit ends this run. 0 or -1. */
int tcl_end_prepare(Tcl_Interp *interp, struct binding_run *run);

/* Likewise, it ends this app worker; while the app is loaded, with a message. */
int tcl_end_prepare_app(Tcl_Interp *interp, struct binding_run *run);

/* Whatever ends the process from now on, this is the interpreter that it is in. */
void tcl_end_move(Tcl_Interp *interp);

/* The app is loaded: from now on it may call `exit`. */
void tcl_end_app_is_loaded(void);

/* tcl_folder.c */

/* When this folder has changed, in nanoseconds; 0 if there is none. */
Tcl_WideInt tcl_folder_time(Tcl_Obj *folder);

/* tcl_memory.c */

/* In the template, when all is loaded: let what a run allocates lie side by side. */
void tcl_memory_settle(void);

/* tcl_warm.c */

/* Make what warming runs. */
int tcl_warm_start(Tcl_Interp *interp);

/* struct binding: warm. */
void tcl_warm(Tcl_Interp *interp);

/* tcl_error.c: the only way of an error to the host, and to standard error. */

/* The interpreter's result becomes *e, "doing: result". Returns -1. */
int tcl_error_set(Tcl_Interp *interp, struct error *e, const char *doing);

/* Write what tclsh writes about a script that ended with this code. */
void tcl_error_print(Tcl_Interp *interp, int code);

/* Likewise, and tell the host when it is memory that was wanting. */
void tcl_error_tell(Tcl_Interp *interp, struct binding_run *run, int code);

/* Forget a result, an error, and their traces in ::errorInfo and ::errorCode. */
void tcl_error_forget(Tcl_Interp *interp);

/* Abort if the interpreter has a result or an error left. */
void tcl_error_assert_none(Tcl_Interp *interp);

/* tcl_words.c: a command as words, so that no script is pasted together. */

enum { TCL_WORDS_MAX = 8 };

/*
 * Evaluate the command that these words make (char *, NULL at the end; TCL_WORDS_MAX at most) at
 * global level. Returns a Tcl completion code; the result is the interpreter's.
 */
int tcl_words(Tcl_Interp *interp, ...) __attribute__((sentinel));

/*
 * Likewise, but call this command itself, whatever a script has put in the place of its name. The
 * first word is the name.
 */
int tcl_words_call(const Tcl_CmdInfo *command, Tcl_Interp *interp, ...) __attribute__((sentinel));

/*
 * One word that every run has need of: made once, and kept. What Tcl has found out about it in the
 * template (which command it names), it finds with it in a run.
 */
Tcl_Obj *tcl_word(Tcl_Obj **kept, const char *text);

#endif
