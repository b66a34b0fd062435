/*
 * The program's code and constants, for all processes of the host, in huge pages.
 *
 * A mapped file comes into a process sixteen pages at a time, each time by a fault, and at its end
 * each page is counted off again. For a request process that lives two milliseconds this is a sixth
 * of its time: it looks at 3 MB of the program in some fifty places. A huge page comes in one fault
 * and goes as one entry.
 *
 * Pages of a file on disk cannot be made huge everywhere (it needs CONFIG_READ_ONLY_THP_FOR_FS),
 * those of a memfd can (MADV_COLLAPSE, since Linux 6.1), so the text moves into one, and is mapped
 * from there at the place where it was. The mapping is private, as that of a program is: a debugger
 * can set its breakpoints. Where a step is refused (an older kernel, vm.memfd_noexec, no huge page
 * to be had) all stays as the kernel loaded it.
 *
 * A program that may be loaded anywhere is left alone: such are those built with a sanitizer, which
 * finds the names of functions by the file that is mapped. So does perf(1): for names build with
 * -DEXTHOST_STATIC_LANGUAGES=OFF.
 */
#include "huge_pages.h"

#include "fd.h"

#include <errno.h>
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

static int find_text(struct dl_phdr_info *object, size_t size, void *range);
static int copy_to_memory(struct range text);
static bool write_huge(int fd, struct range text);

void huge_pages_move_text(void)
{
	FD_OWNED int fd = -1;
	uintptr_t size = huge_pages_size();
	struct range text = {0};

	dl_iterate_phdr(find_text, &text);
	if (size == 0 || text.end == 0)
		return;
	text.begin = (text.begin + size - 1) / size * size;
	text.end = text.end / size * size;
	if (text.begin >= text.end)
		return;
	fd = copy_to_memory(text);
	if (fd >= 0)
		mmap((void *)text.begin, text.end - text.begin, PROT_READ | PROT_EXEC,
		    MAP_PRIVATE | MAP_FIXED, fd, 0);
}

/* The first object is the program. 1: no more of them, please. */
static int find_text(struct dl_phdr_info *object, size_t size, void *range)
{
	struct range *text = range;

	(void)size;
	for (size_t i = 0; object->dlpi_addr == 0 && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 &&
		    (part->p_flags & PF_W) == 0)
			*text = (struct range){part->p_vaddr, part->p_vaddr + part->p_memsz};
	}
	return 1;
}

/* A memfd with this text in huge pages, or -1. */
static int copy_to_memory(struct range text)
{
	int fd = memfd_create("exthost", MFD_CLOEXEC | MFD_EXEC);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 all were so, and the flag is unknown */
		fd = memfd_create("exthost", MFD_CLOEXEC);
	if (fd >= 0 && !write_huge(fd, text))
		fd_close(&fd);
	return fd;
}

static bool write_huge(int fd, struct range text)
{
	size_t length = text.end - text.begin, size = huge_pages_size();
	struct rlimit most;
	char *space, *memory;
	bool done;

	/* Beyond the limit for files a signal would come. */
	if (getrlimit(RLIMIT_FSIZE, &most) < 0 || most.rlim_cur < length ||
	    ftruncate(fd, (off_t)length) < 0)
		return false;
	/* Only at a multiple of its size can a huge page be mapped, here too. */
	space = mmap(NULL, length + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (space == MAP_FAILED)
		return false;
	memory = space + -(uintptr_t)space % size;
	done =
	    mmap(memory, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == memory;
	if (done) {
		memcpy(memory, (const void *)text.begin, length);
		done = madvise(memory, length, MADV_COLLAPSE) == 0;
	}
	munmap(space, length + size);
	return done;
}
