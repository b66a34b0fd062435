/*
 * What the fuzz harnesses share. The replay main gives each input as a copy of its exact size, so
 * that the address sanitizer sees a read past its end.
 */
#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void insist(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	abort();
}

size_t piece_size(const uint8_t *bytes, size_t size)
{
	size_t wanted = size > 0 ? (size_t)bytes[0] % 64 + 1 : 0;

	return wanted < size ? wanted : size;
}

#ifdef EXTHOST_REPLAY

#include <dirent.h>
#include <string.h>

static int replay_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "rb");
	uint8_t *copy;
	size_t size;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	copy = malloc(size + (size == 0));
	insist(copy != NULL, "no memory");
	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 1;
}

/* The number of files replayed, or -1. */
static int replay_folder(const char *folder)
{
	DIR *entries = opendir(folder);
	char path[4096];
	int count = 0, result = 0;

	if (entries == NULL)
		return replay_file(folder);
	for (struct dirent *e; result >= 0 && (e = readdir(entries)) != NULL; count += result) {
		result = 0;
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		result = replay_file(path);
	}
	closedir(entries);
	return result < 0 ? -1 : count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		int replayed = replay_folder(argv[i]);

		if (replayed < 0)
			return 1;
		count += replayed;
	}
	printf("%d inputs replayed\n", count);
	return count > 0 ? 0 : 1;
}

#endif
