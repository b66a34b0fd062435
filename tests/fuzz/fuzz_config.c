/*
 * Fuzz harness for the configuration file: two reads of one file must end alike, and the reason of
 * a refusal is one line. The files and directories that it names are only looked at.
 */
#include "replay.h"

#include "base/error.h"
#include "binding.h"
#include "config/config_read.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A language, so that its settings are keys too. */
static const struct binding_setting settings[] = {
    {"python-venv", BINDING_DIRECTORY, "one", NULL},
    {"python-path", BINDING_DIRECTORIES, "many", NULL},
};
static const struct binding python = {.name = "python", .settings = settings, .setting_count = 2};
static const struct binding *const bindings[] = {&python, NULL};

static int read_once(const char *path, struct error *e)
{
	char option[] = "--config", file[32];
	char *arguments[] = {option, file, NULL};
	const struct config_source source = {.argc = 2, .argv = arguments, .bindings = bindings};
	struct config config;
	int operands, result;

	snprintf(file, sizeof(file), "%s", path);
	*e = (struct error){""};
	result = config_read(&config, CONFIG_SERVE, &source, 0, &operands, e);
	config_release(&config);
	insist(result == 0 || result == -1, "neither read nor refused");
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static int file = -1;
	char path[32];
	struct error first, second;
	int result;

	if (file < 0)
		file = memfd_create("conf", MFD_CLOEXEC);
	insist(ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == (ssize_t)size,
	    "no place for the file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	result = read_once(path, &first);
	if (result < 0) {
		insist(first.message[0] != '\0', "refused without a reason");
		insist(strchr(first.message, '\n') == NULL, "a reason of two lines");
	}
	insist(read_once(path, &second) == result && strcmp(first.message, second.message) == 0,
	    "the same file is read otherwise the second time");
	return 0;
}
