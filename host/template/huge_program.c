/*
 * The program itself in huge pages: its code and constants, for all processes of the host.
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
 * The linker aligns them to huge pages (CMakeLists.txt). The rest of the last huge page is used as
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

struct range {
	uintptr_t begin, end;
};

static struct range find_text(void);
static bool is_free(struct range range);
static int copy_to_memory(struct range text, size_t length);
static bool write_huge(int fd, struct range text, size_t length);
static char *reserve(size_t length, char **space);

void huge_pages_move_text(void)
{
	FD_OWNED int fd = -1;
	uintptr_t size = huge_pages_size(), limit;
	struct range text = find_text();

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
static int look_at_object(struct dl_phdr_info *object, size_t size, void *found)
{
	struct range *text = found;

	(void)size;
	for (size_t i = 0; object->dlpi_addr == 0 && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags == (PF_R | PF_X))
			*text = (struct range){p->p_vaddr, p->p_vaddr + p->p_memsz};
	}
	return 1;
}

/*
 * The segment of the program's code, its end rounded up to a page. {0, 0}: the program is
 * position-independent.
 */
static struct range find_text(void)
{
	struct range text = {0, 0};

	dl_iterate_phdr(look_at_object, &text);
	text.end = huge_pages_round_up(text.end, (size_t)sysconf(_SC_PAGESIZE));
	return text;
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
