/*
 * The program itself in huge pages: its code and constants for all processes of the host, and its
 * variables for a template and its children.
 *
 * A mapped file comes into a process sixteen pages at a time, each time by a page fault, and the
 * end of the process counts each page off again. For a request process that lives two milliseconds
 * this is a sixth of its time: it touches 3 MB of the program in some fifty places. A huge page
 * needs one fault and one entry.
 *
 * Pages of a file on disk cannot be made huge on every kernel (it needs
 * CONFIG_READ_ONLY_THP_FOR_FS). Pages of a memfd can (MADV_COLLAPSE, since Linux 6.1), so the text
 * is copied into a memfd that is mapped in its place. The mapping is private, as that of a program
 * is, so that a debugger can set breakpoints.
 *
 * Variables become the template's own memory once they are written, and a language writes three
 * hundred pages of them when it starts. They move into anonymous memory, which takes their place.
 *
 * The linker aligns both to huge pages (CMakeLists.txt). The rest of the last huge page is used as
 * well, if nothing else is mapped there.
 *
 * If a step is refused (an older kernel, vm.memfd_noexec, no free huge page), everything stays as
 * the kernel loaded it. A position-independent program is left alone: such are builds with a
 * sanitizer, which finds the names of functions by the mapped file. So does perf(1): for names
 * build with -DEXTHOST_STATIC_LANGUAGES=OFF.
 */
#include "template/huge_pages.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

#define ENTRIES 4096 /* entries of pagemap: the most pages that a huge one can have */

struct range {
	uintptr_t begin, end;
};

/* A segment of the program. */
struct part {
	ElfW(Word) flags; /* PF_R and PF_X, or PF_R and PF_W */
	struct range range;
};

static struct range find_part(ElfW(Word) flags);
static bool is_free(struct range range);
static int copy_to_memory(struct range text, size_t length);
static bool write_huge(int fd, struct range text, size_t length);
static char *reserve(size_t length, char **space);
static size_t count_own(struct range range);
static void move_variables(struct range data, size_t size);

void huge_pages_move_text(void)
{
	FD_OWNED int fd = -1;
	uintptr_t size = huge_pages_size(), limit;
	struct range text = find_part(PF_R | PF_X);

	if (size == 0 || text.end == 0)
		return;
	text.begin = huge_pages_round_up(text.begin, size);
	limit = huge_pages_round_up(text.end, size);
	if (!is_free((struct range){text.end, limit}))
		text.end = limit = limit - size;
	if (text.begin >= limit)
		return;
	fd = copy_to_memory(text, limit - text.begin);
	if (fd >= 0)
		(void)mmap((void *)text.begin, limit - text.begin, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_FIXED, fd, 0);
}

/* The first object is the program: 1 ends the iteration (dl_iterate_phdr(3)). */
static int look_at_object(struct dl_phdr_info *object, size_t size, void *wanted)
{
	struct part *part = wanted;

	(void)size;
	for (size_t i = 0; object->dlpi_addr == 0 && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags == part->flags)
			part->range = (struct range){p->p_vaddr, p->p_vaddr + p->p_memsz};
	}
	return 1;
}

/*
 * The segment with these flags, its end rounded up to a page. {0, 0}: there is none, or the program
 * is position-independent.
 */
static struct range find_part(ElfW(Word) flags)
{
	struct part part = {.flags = flags};

	dl_iterate_phdr(look_at_object, &part);
	part.range.end = huge_pages_round_up(part.range.end, (size_t)sysconf(_SC_PAGESIZE));
	return part.range;
}

/* Tried with mmap(2). A kernel without this flag (before 4.17) may choose another address. */
static bool is_free(struct range range)
{
	size_t size = range.end - range.begin;
	void *memory;

	if (size == 0)
		return true;
	memory = mmap((void *)range.begin, size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	munmap(memory, size);
	return memory == (void *)range.begin;
}

/* A memfd of this length with this text in huge pages, or -1. */
static int copy_to_memory(struct range text, size_t length)
{
	int fd = memfd_create("exthost", MFD_CLOEXEC | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3: all are executable */
		fd = memfd_create("exthost", MFD_CLOEXEC);
	if (fd >= 0 && !write_huge(fd, text, length))
		fd_close(&fd);
	return fd;
}

static bool write_huge(int fd, struct range text, size_t length)
{
	struct rlimit most;
	char *space, *memory;
	bool done;

	/* Beyond this limit a write would raise SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &most) < 0 || most.rlim_cur < length ||
	    ftruncate(fd, (off_t)length) < 0)
		return false;
	memory = reserve(length, &space);
	if (memory == NULL)
		return false;
	done =
	    mmap(memory, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == memory;
	if (done) {
		memcpy(memory, (const void *)text.begin, text.end - text.begin);
		done = madvise(memory, length, MADV_COLLAPSE) == 0;
	}
	munmap(space, length + huge_pages_size());
	return done;
}

/*
 * Reserve addresses for `length` bytes from the beginning of a huge page, inside *space, which is
 * larger by one huge page. NULL: there are none.
 */
static char *reserve(size_t length, char **space)
{
	size_t size = huge_pages_size();

	*space = mmap(NULL, length + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return *space != MAP_FAILED ? *space + -(uintptr_t)*space % size : NULL;
}

void huge_pages_move_data(void)
{
	uintptr_t size = huge_pages_size();
	struct range data = find_part(PF_R | PF_W);

	if (size == 0 || data.end == 0)
		return;
	/* In front of the first boundary is what the linker has made read-only. */
	data.begin = huge_pages_round_up(data.begin, size);
	if (data.begin < data.end && data.end - data.begin <= size &&
	    huge_pages_are_worth(count_own(data)) &&
	    is_free((struct range){data.end, data.begin + size}))
		move_variables(data, size);
}

/* The number of these pages that are no longer the file's but private: proc_pid_pagemap(5). */
static size_t count_own(struct range range)
{
	FD_OWNED int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	const uint64_t of_file = UINT64_C(1) << 61, present = UINT64_C(1) << 63;
	uint64_t entries[ENTRIES];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
	size_t size = (range.end - range.begin) / page * sizeof(entries[0]);
	off_t at = (off_t)(range.begin / page * sizeof(entries[0]));
	ssize_t n = fd >= 0 && size <= sizeof(entries) ? pread(fd, entries, size, at) : 0;

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(entries[0]); i++)
		count += (entries[i] & (present | of_file)) == present;
	return count;
}

/*
 * No variable may be written between the copy and the move: there is one thread, which only makes
 * system calls there.
 */
static void move_variables(struct range data, size_t size)
{
	char *space;
	char *memory = reserve(size, &space);

	if (memory == NULL)
		return;
	if (mmap(memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		0) == memory) {
		memcpy(memory, (const void *)data.begin, data.end - data.begin);
		if (madvise(memory, size, MADV_COLLAPSE) == 0)
			mremap(
			    memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)data.begin);
	}
	munmap(space, 2 * size);
}
