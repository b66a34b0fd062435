/*
 * What the files of this binding share, and the only place where Python.h is included.
 *
 * All of it is called with the interpreter's lock held, by the thread that started the
 * interpreter; outside of Python itself it is released only around a wait (python_app_wait, the
 * sending of a reply). Unless said otherwise a function that returns -1 or NULL leaves a Python
 * exception pending, and no function returns to the host with one.
 */
#ifndef EXTHOST_PYTHON_INTERNAL_H
#define EXTHOST_PYTHON_INTERNAL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <sys/types.h>

/* The language's own settings, in the order of their values in struct binding_run. */
enum { PYTHON_SETTING_VENV, PYTHON_SETTING_PATH };

struct binding_run;
struct error;

/* python_config.c: how the interpreter is set up. */

/* Initialize the interpreter that runs scripts. 0, or -1 with *e filled. */
int python_config_start(struct error *e);

/* Let `import exthost` find the small library, after everything that is installed. 0 or -1. */
int python_config_add_library(void);

/* struct binding: interpret. */
int python_interpret(int argc, char **argv);

/* python_arena.c */

/* Before the interpreter is initialized: lay out the memory for its small objects. */
void python_arena_start(void);

enum { PYTHON_PIECE = 0x200000 }; /* bytes: a huge page of x86-64 */

/* So much memory, at a multiple of its size; it was never written. NULL: there is none. */
void *python_arena_piece(void);

/* python_heap.c: the small objects of a run. */

/* In the template: a piece of its arenas, whose objects a run shall not free. */
void python_heap_leave(const void *piece);

/* In the template: have ready what the first objects of a run need. */
void python_heap_reserve(void);

/* In a request process, before its run: from here on small objects lie apart from the template's. */
void python_heap_begin(void);

/* python_stdio.c: descriptors 0, 1 and 2 while the interpreter starts. */

struct python_stdio {
	int saved[3];
	int messages;
};

/* Put pipes in the place of 0, 1 and 2. 0, or -1 with *e filled and nothing changed. */
int python_stdio_lend(struct python_stdio *stdio, struct error *e);

/* Put the old descriptors back, and write what was printed meanwhile to the old 2. */
void python_stdio_return(struct python_stdio *stdio);

/* python_modules.c: which modules the template has, and which ones a script brought. */

/* Remember where installed modules are. 0 or -1. */
int python_modules_start(void);

/* Import the few modules that every template has. They may be missing: never fails. */
void python_modules_import_common(void);

/* Import one module. 0, or -1 with *e filled and no exception pending. */
int python_modules_preload(const char *name, struct error *e);

/* Before the first fork: what is loaded now is the template's. 0 or -1. */
int python_modules_freeze(void);

/* Tell the host which installed modules the script loaded. No exception is pending afterwards. */
void python_modules_notice(struct binding_run *run);

/*
 * Forget __main__ and every module that the script brought from elsewhere than the installed ones.
 * Returns a list of weak references to them, or NULL.
 */
PyObject *python_modules_forget(void);

/* Let the collector never look again at what there is now. */
void python_modules_put_aside(void);

/* The names of the modules that the template did not have, in the order of their import; or NULL. */
PyObject *python_modules_new(void);

/* Whether the template loaded this module from a file, and python3 would not have at its start. */
bool python_modules_can_be_shadowed(PyObject *name);

/*
 * Forget every module that the template loaded from elsewhere than the standard library: a virtual
 * environment has its own. 0 or -1.
 */
int python_modules_forget_packages(void);

/* python_lines.c */

/* From now on it is known of sys.stderr, and sys.stdout if output, whether its last line is open. 0 or -1. */
int python_lines_start(bool output);

/* End the lines that are open. Leaves no exception. */
void python_lines_end(void);

/* python_shadow.c */

/*
 * Let files in the script's folder win over modules of the same name that the template has loaded,
 * as they do under python3. 0 or -1.
 */
int python_shadow_take(const char *folder);

/*
 * python-path: put these folders (':' between) in front of sys.path, in their order, and do the
 * same for each. 0 or -1.
 */
int python_shadow_take_path(const char *folders);

/* python_code.c */

/* Find out once what each run would ask for. 0 or -1. */
int python_code_start(void);

/*
 * The compiled script, from what was kept for it or else from its source, and then kept. NULL with
 * an exception, or NULL without one: it must be run from its file (python_code_run_file).
 */
PyObject *python_code_load(struct binding_run *run);

/* The compiled script, straight from its file; nothing is kept. NULL with an exception. */
PyObject *python_code_compile(const struct binding_run *run);

/* Close the script's file and the kept code: what runs now finds no descriptor of the host's. */
void python_code_close(struct binding_run *run);

/* Run the script from its file, in these globals; closes as above. A new reference, or NULL. */
PyObject *python_code_run_file(struct binding_run *run, PyObject *globals);

/* python_run.c */

/* Look up what a run needs. 0 or -1. */
int python_run_start(void);

/* In the template, when all else is started: have ready what a run begins with. 0 or -1. */
int python_run_prepare(void);

/* struct binding: run. */
void python_run(struct binding_run *run) __attribute__((noreturn));

/* Fill os.environ anew. 0 or -1. */
int python_run_take_environment(const char *const *environment);

/* Empty os.environ, in the template: each process that is forked fills it anew. */
void python_run_drop_environment(void);

/* Put a new module in the place of __main__: its globals, borrowed; or NULL. */
PyObject *python_run_take_main(void);

/* Name the script in these globals and in sys.argv. 0 or -1. */
int python_run_take_script(const char *path, PyObject *globals);

/* sys.argv as for this script. 0 or -1. */
int python_run_set_argv(PyObject *script);

/* Put the script's folder in front of sys.path. 0 or -1. */
int python_run_take_path(const char *script);

/* Take out of the template's sys.path what the run has put in. */
void python_run_drop_path(void);

/*
 * Do what comes before a run, for python_warm, with a module that no list has: a new reference to
 * it, or NULL. What it leaves (os.environ, sys.argv) the next run sets anew.
 */
PyObject *python_run_rehearse(const char *const *environment);

/* python_end.c */

/* Look up what an end needs. 0 or -1. */
int python_end_start(void);

/*
 * What python3 does between the last statement of a script and the end of its process, then
 * binding_end. runner is the process that was asked for the run: if this is another one, the script
 * has forked it, and it has nothing to tell the host.
 */
void python_end(struct binding_run *run, pid_t runner, int status) __attribute__((noreturn));

/*
 * Flush sys.stderr and sys.stdout; keeps a pending exception. false: sys.stdout could not be written,
 * and may have the bytes still.
 */
bool python_end_flush_quietly(void);

/* Flush a file. false: it could not be written, and may have the bytes still. Leaves no exception. */
bool python_end_flush(PyObject *file);

/* Those files that are open for writing, and that the collector looks at. NULL: no memory. */
PyObject *python_end_find_writers(void);

/* Flush all of those; ignores what goes wrong. */
void python_end_flush_writers(void);

/* A number that changes when there are more or fewer objects that the collector looks at. */
long python_end_count_young(void);

/*
 * Collect garbage, even if it was disabled: only the youngest objects where all are young. To collect
 * all of them empties Python's lists of free objects too, and what is made anew after that is counted
 * as young (python_end_count_young), so that one collection would lead to the next.
 */
void python_end_collect(void);

/*
 * What python_end does before the script is let go: threads, exit handlers, output. The exit status,
 * if that is what it was until then.
 */
int python_end_script(int status);

/* Whether Python knows of another thread than this one. */
bool python_end_has_threads(void);

/*
 * The same as python_end does, before the host ends an app worker. Neither the app's threads nor
 * its exit handlers are waited for longer than a few seconds.
 */
void python_end_app(void);

/*
 * Ask the standard files for what an end asks them, for python_warm_rehearse. Nothing is written or
 * closed, and no exception is pending afterwards.
 */
void python_end_rehearse(void);

/* python_warm.c */

/* Make what warming runs. 0 or -1. */
int python_warm_start(void);

/*
 * In the template, when all else is started: the same several times over, so that what Python
 * finds out as it goes (where a method is, which form of an instruction fits) is known, and need
 * not be written down by each process.
 */
void python_warm_rehearse(void);

/* struct binding: warm. */
void python_warm(void);

/* python_app.c: struct binding: load, answer, wait and unload. */

struct binding_app;
struct binding_call;

int python_app_load(struct binding_app *app);
int python_app_answer(struct binding_app *app, struct binding_call *call);
bool python_app_wait(struct binding_app *app, int descriptor);
void python_app_unload(struct binding_app *app);

/* python_venv.c */

/*
 * Let modules of a virtual environment be found. 0; -1 with an exception; -1 without one: it is
 * none for this Python, as standard error says.
 */
int python_venv_enter(const char *folder);

/* python_stack.c */

/* struct binding: stack. */
bool python_stack(struct binding_run *run, int file);

/* python_error.c: the only way of an exception to the host. */

/* The pending exception becomes *e, "doing: Type: text". Returns -1. */
int python_error_set(struct error *e, const char *doing);

/* A status of the initialization becomes *e. Returns -1. */
int python_error_status(struct error *e, PyStatus status);

/* The pending exception ends the script: print what python3 prints; returns the exit status. */
int python_error_exit(void);

/* Print the pending exception with its traceback on sys.stderr, and forget it. */
void python_error_print(void);

/* Forget a pending exception. */
void python_error_clear(void);

/* On a way out to the host no exception may be pending. */
#define python_error_assert_none() assert(PyErr_Occurred() == NULL)

#endif
