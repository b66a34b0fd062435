/*
 * The command line: which command is run, or which interpreter, when the program is called by the
 * name of an interpreter. All help texts are here.
 */
#include "command/command.h"

#include "base/language.h"
#include "binding.h"
#include "command/command_fail.h"
#include "config/config_read.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define ENV_WORDS 1024
#define LINKS_MAX 40 /* symbolic links followed, as many as the kernel does (path_resolution(7)) */

static void print_help(const struct binding *const *bindings)
{
	printf(
	    "exthost runs Fossil server extensions in languages that it carries inside itself.\n"
	    "\n"
	    "usage:\n"
	    "  exthost serve --root DIR [OPTION]...    serve the extensions in DIR over FastCGI\n"
	    "  exthost request [METHOD] PATH --root DIR [OPTION]...\n"
	    "                                          one request, run right here, no server "
	    "needed\n");
	for (size_t i = 0; bindings[i] != NULL; i++)
		if (bindings[i]->command != NULL)
			printf("  exthost %-7s [ARGUMENT]...           the plain %s interpreter\n",
			    bindings[i]->command, bindings[i]->name);
	printf(
	    "  exthost status [--root DIR | --control PATH] [--json] [--watch] [--check]\n"
	    "                                          what the running host is doing\n"
	    "  exthost check [--config FILE] [--root DIR]\n"
	    "                                          whether serve would take the configuration, "
	    "and run\n"
	    "                                          what is in the extension root\n"
	    "  exthost version                         the versions of exthost and its languages\n"
	    "  exthost --help, exthost COMMAND --help  this text, or that of a command\n"
	    "\n"
	    "Called by the name of an interpreter (a link), exthost is that interpreter; as env,\n"
	    "it starts one.\n"
	    "Exit status: 0; 1 when it fails; 2 for a mistake on the command line.\n"
	    "Manuals: exthost(1), exthost(8), exthost.conf(5), exthost-cgi(1), "
	    "exthost-mailer(1).\n");
}

/* One command; the table has the order of --help. */
struct command {
	const char *name;
	const char *help;            /* text before the list of options */
	enum config_command options; /* options that the command takes */
	const char *note;            /* text behind the list of options */
	int (*run)(const struct binding *const *bindings, int argc, char **argv);
};

static const struct command commands[] = {
    {"serve",
	"usage: exthost serve --root DIR [OPTION]...\n"
	"\n"
	"Serve the extensions in DIR over FastCGI: to Fossil through the relay exthost-cgi, to\n"
	"nginx and other web servers directly. SIGTERM ends it when running requests have\n"
	"finished; SIGHUP reads the configuration again and starts fresh interpreters; SIGUSR1\n"
	"opens the log file again.\n",
	CONFIG_SERVE,
	"\nA size may end in k, m or g. Every option may stand in the configuration file under "
	"the same name.\n",
	command_serve},
    {"request",
	"usage: exthost request [METHOD] PATH --root DIR [OPTION]...\n"
	"\n"
	"Run one request right here and print the reply: header block, empty line, body. PATH\n"
	"is the URL's path beneath the root, with ?QUERY if there is one. METHOD is GET unless\n"
	"given, or POST with --body. Exit status 0 when the reply's status is below 400.\n"
	"With --config the extension has what that file of exthost serve gives it, and DIR may\n"
	"stand there.\n",
	CONFIG_REQUEST, "", command_request},
    {"status",
	"usage: exthost status [--root DIR | --control PATH | --config FILE] [OPTION]...\n"
	"\n"
	"Print what the running host is doing: its processes, each run that is going on, and for\n"
	"each extension how many requests there were, how long they took and what went wrong.\n"
	"Without --root, --control and --config, /etc/exthost.conf is read if it is there.\n",
	CONFIG_STATUS, "", command_status},
    {"check",
	"usage: exthost check [OPTION of serve]...\n"
	"\n"
	"Say whether exthost serve would take this configuration, and, for each executable file "
	"of\n"
	"the extension root that would not run, why. Exit status 0 when all is well, 1 when a "
	"file\n"
	"would not run, 2 when the configuration is bad. Options are those of exthost serve;\n"
	"these two matter most:\n",
	CONFIG_CHECK, "", command_check},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int print_command_help(const struct command *command, const struct binding *const *bindings)
{
	printf("%s\n%s", command->help, command->options == CONFIG_CHECK ? "" : "options:\n");
	config_print_options(stdout, command->options, bindings);
	fputs(command->note, stdout);
	return 0;
}

static int print_version(const struct binding *const *bindings)
{
	printf("exthost %s\n", EXTHOST_VERSION);
	for (size_t i = 0; bindings[i] != NULL; i++)
		printf("%s %s\n", bindings[i]->name, bindings[i]->version());
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static const struct binding *interpreter_by_command(
    const struct binding *const *bindings, const char *name)
{
	for (size_t i = 0; bindings[i] != NULL; i++)
		if (bindings[i]->command != NULL && strcmp(bindings[i]->command, name) == 0)
			return bindings[i];
	return NULL;
}

/* The interpreter whose name this path ends with; NULL: none. */
static const struct binding *interpreter_by_name(
    const struct binding *const *bindings, const char *path)
{
	const char *slash = strrchr(path, '/');
	int language = language_by_program(bindings, slash != NULL ? slash + 1 : path);

	return language >= 0 && bindings[language]->command != NULL ? bindings[language] : NULL;
}

/*
 * Replace the path (PATH_MAX bytes) of a symbolic link by the path it names. false: it is no link.
 */
static bool follow_link(char *path)
{
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target) - 1);
	char *slash = strrchr(path, '/');
	size_t folder = slash != NULL ? (size_t)(slash + 1 - path) : 0;

	if (size <= 0)
		return false;
	target[size] = '\0';
	if (target[0] == '/')
		folder = 0;
	if (folder + (size_t)size >= PATH_MAX)
		return false;
	strcpy(path + folder, target);
	return true;
}

/*
 * The interpreter by the name of the executed file (AT_EXECFN, getauxval(3)) or of a symbolic link
 * on the way from there to the program. argv[0] is not enough, since a caller may put anything
 * there: subprocess.Popen(["worker", ...], executable=sys.executable).
 */
static const struct binding *interpreter_by_file(const struct binding *const *bindings)
{
	const char *executed = (const char *)getauxval(AT_EXECFN);
	const struct binding *interpreter;
	char path[PATH_MAX];
	int links = 0;

	if (executed == NULL || strlen(executed) >= sizeof(path))
		return NULL;
	strcpy(path, executed);
	do
		interpreter = interpreter_by_name(bindings, path);
	while (interpreter == NULL && links++ < LINKS_MAX && follow_link(path));
	return interpreter;
}

static bool is_env(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash != NULL ? slash + 1 : path, "env") == 0;
}

/* Append the words of an argument of env -S. Returns the new number of words. */
static int split_words(char *text, char **words, int count)
{
	char *rest;

	for (char *word = strtok_r(text, " \t", &rest); word != NULL && count < ENV_WORDS;
	     word = strtok_r(NULL, " \t", &rest))
		words[count++] = word;
	return count;
}

/*
 * Be env, as in a script's first line: -S (the kernel passes all that follows it as one word),
 * variables, the name of an interpreter, and the arguments of that. No other program is started.
 */
static int run_env(const struct binding *const *bindings, int argc, char **argv)
{
	const struct binding *interpreter;
	char *given[ENV_WORDS + 1];
	char **words = given;
	int count = 0, i = 1;

	/* The words follow in the same argument as -S, or are the next argument. */
	if (argc > 2 && strcmp(argv[1], "-S") == 0) {
		count = split_words(argv[2], words, 0);
		i = 3;
	} else if (argc > 1 && strncmp(argv[1], "-S", 2) == 0) {
		count = split_words(argv[1] + 2, words, 0);
		i = 2;
	}
	while (i < argc && count < ENV_WORDS)
		words[count++] = argv[i++];
	if (i < argc)
		return command_fail(127, "env: more than %d words", ENV_WORDS);
	words[count] = NULL;
	for (; count > 0 && strchr(words[0], '=') != NULL; count--)
		putenv(*words++);
	if (count == 0)
		return command_fail(127, "env: which interpreter?");
	interpreter = interpreter_by_name(bindings, words[0]);
	if (interpreter == NULL)
		return command_fail(
		    127, "env: '%s' is no interpreter that exthost carries", words[0]);
	return interpreter->interpret(count, words);
}

int command_run(const struct binding *const *bindings, int argc, char **argv)
{
	const struct binding *interpreter =
	    argc > 0 ? interpreter_by_name(bindings, argv[0]) : NULL;
	const struct command *found;
	const char *command;

	if (interpreter != NULL)
		return interpreter->interpret(argc, argv);
	if (argc > 0 && is_env(argv[0]))
		return run_env(bindings, argc, argv);
	interpreter = argc > 0 ? interpreter_by_file(bindings) : NULL;
	if (interpreter != NULL)
		return interpreter->interpret(argc, argv);
	if (argc < 2)
		return command_fail(2, "which command? 'exthost --help' lists them");
	command = argv[1];
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 ||
	    strcmp(command, "help") == 0) {
		print_help(bindings);
		return 0;
	}
	if (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)
		return print_version(bindings);
	interpreter = interpreter_by_command(bindings, command);
	if (interpreter != NULL)
		return interpreter->interpret(argc - 1, argv + 1);
	found = find_command(command);
	if (found != NULL)
		return wants_help(argc - 2, argv + 2) ? print_command_help(found, bindings)
						      : found->run(bindings, argc - 2, argv + 2);
	return command_fail(2, "unknown command '%s'; 'exthost --help' lists them", command);
}
