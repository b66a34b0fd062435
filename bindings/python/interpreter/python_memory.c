/*
 * The memory of Python's small objects: of the template's, and of a run's.
 *
 * Python takes memory for small objects in arenas of 1 MiB (256 KiB before Python 3.10), each a
 * mapping of its own. In the template several arenas share a piece, which has the size and the
 * alignment of a huge page, so that the host can put the template's objects into huge pages.
 *
 * Python's allocator puts an object wherever there is room, and in a request process that is all
 * over the template's memory. It writes two pages for each size of object, that of the pool's
 * header and that of the object, and the kernel copies each first. Freeing an object of the
 * template writes to its page too. So the objects of a run are packed into a few fresh pages
 * instead, and an object of the template that is freed stays where it is: it ends with the process.
 *
 * A piece is cut into slices of 1 KiB, and a slice into blocks of one size, a multiple of 16 bytes
 * as in Python's own allocator. The upper bits of an address give its piece, and a table says whose
 * piece it is: the run's, the template's, or neither. Python's own allocator keeps what is in
 * neither, and every block that is larger than Python calls small.
 *
 * Not since Python 3.12: there each interpreter has an allocator of its own.
 */
#include "interpreter/python_memory.h"
#include "interpreter/python_include.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PIECE = 0x200000,      /* bytes: a huge page of x86-64 */
	ARENA_LEAST = 0x40000, /* bytes of the smallest arena, that of Python before 3.10 */
	RETURNED_MOST = 8      /* freed arenas to keep */
};

enum {
	SMALL = 512, /* bytes of the largest small block, as in Python's own allocator */
	STEP = 16,   /* bytes from one size of blocks to the next */
	SIZES = SMALL / STEP,
	SLICE = 1024, /* bytes */
	SLICES = PIECE / SLICE,
	PLACES = 1024, /* entries in the table: a power of two */
	PIECES_MOST = PLACES / 2
};

enum { OF_TEMPLATE = 1 }; /* flag in an entry of the table; an address has its lower bits free */

/*
 * The first slices of a piece hold the size of the blocks of every slice: 0 for 16 bytes, 1 for 32,
 * and so on.
 */
struct piece {
	unsigned char size[SLICES];
};

static struct {
	uintptr_t pieces[PLACES]; /* the table: hashed addresses of pieces, with flags */
	size_t count;             /* pieces in the table */
	struct piece *reserved;   /* mapped in the template: the first piece of a run */
	struct piece *current;    /* the piece that new slices are cut from */
	size_t slice;             /* the next unused slice of the current piece */
	struct {
		void *freed;    /* a list: each free block begins with a pointer to the next */
		char *at, *end; /* the unused rest of the last slice of this size */
	} sizes[SIZES];
	PyMemAllocatorEx python; /* Python's own allocator */
} heap;

static uintptr_t piece_of(const void *memory)
{
	return (uintptr_t)memory & -(uintptr_t)PIECE;
}

/* The entry of this piece, or the free entry where it belongs. */
static uintptr_t *entry_of(uintptr_t piece)
{
	size_t i = piece / PIECE % PLACES;

	while (heap.pieces[i] != 0 && (heap.pieces[i] & ~(uintptr_t)OF_TEMPLATE) != piece)
		i = (i + 1) % PLACES;
	return &heap.pieces[i];
}

static bool remember(const void *piece, uintptr_t flags)
{
	if (heap.count == PIECES_MOST)
		return false;
	heap.count++;
	*entry_of((uintptr_t)piece) = (uintptr_t)piece | flags;
	return true;
}

static struct {
	char *at;    /* the unused rest of the last piece */
	size_t left; /* bytes of it */
} arenas;

/*
 * Arenas that Python freed. They stay mapped for the next arena, since a hole would turn the rest
 * of their piece into small pages for good.
 */
static struct {
	char *at[RETURNED_MOST];
	size_t count;
	size_t size; /* bytes of each: all arenas have one size */
} returned;

static char *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED ? memory : NULL;
}

/* Map an aligned piece: map twice its size, and unmap what lies before and behind it. */
static void *map_piece(void)
{
	char *memory = map(2 * (size_t)PIECE);
	size_t before;

	if (memory == NULL)
		return NULL;
	before = -(uintptr_t)memory % PIECE;
	if (before > 0)
		munmap(memory, before);
	munmap(memory + before + PIECE, PIECE - before);
	return memory + before;
}

/*
 * Python asks this allocator for other memory too (16 KiB for frames), which would take an arena's
 * place.
 */
static bool is_arena(size_t size)
{
	return size >= ARENA_LEAST && size <= PIECE;
}

static void *allocate_arena(void *unused, size_t size)
{
	char *memory;

	(void)unused;
	if (!is_arena(size))
		return map(size);
	if (returned.count > 0 && returned.size == size)
		return returned.at[--returned.count];
	if (arenas.left < size) {
		memory = map_piece();
		if (memory == NULL)
			return NULL;
		/* The rest of the last piece was never used. */
		if (arenas.left > 0)
			munmap(arenas.at, arenas.left);
		arenas.at = memory;
		arenas.left = PIECE;
		remember(memory, OF_TEMPLATE);
	}
	memory = arenas.at;
	arenas.at += size;
	arenas.left -= size;
	return memory;
}

static void give_back_arena(void *unused, void *memory, size_t size)
{
	(void)unused;
	if (!is_arena(size) || returned.count == RETURNED_MOST ||
	    (returned.count > 0 && returned.size != size) ||
	    madvise(memory, size, MADV_DONTNEED) < 0) {
		munmap(memory, size);
		return;
	}
	returned.at[returned.count++] = memory;
	returned.size = size;
}

void python_memory_start(void)
{
	PyObjectArenaAllocator allocator = {NULL, allocate_arena, give_back_arena};

	PyObject_SetArenaAllocator(&allocator);
}

/* A new piece of the run's, entered in the table. */
static struct piece *make_piece(void)
{
	struct piece *piece = map_piece();

	if (piece != NULL && !remember(piece, 0)) {
		munmap(piece, PIECE);
		piece = NULL;
	}
	return piece;
}

/* The few pages of a run must be small ones, even where the kernel gives huge pages unasked. */
void python_memory_reserve(void)
{
#if PY_VERSION_HEX < 0x030c0000
	heap.reserved = make_piece();
	if (heap.reserved != NULL)
		madvise(heap.reserved, PIECE, MADV_NOHUGEPAGE);
#endif
}

static bool add_piece(void)
{
	struct piece *piece = heap.reserved != NULL ? heap.reserved : make_piece();

	heap.reserved = NULL;
	if (piece == NULL)
		return false;
	heap.current = piece;
	heap.slice = sizeof(*piece) / SLICE;
	return true;
}

static size_t bytes_of(size_t size)
{
	return (size + 1) * STEP;
}

static bool add_slice(size_t size)
{
	char *slice;

	if ((heap.current == NULL || heap.slice == SLICES) && !add_piece())
		return false;
	slice = (char *)heap.current + heap.slice * SLICE;
	heap.current->size[heap.slice++] = (unsigned char)size;
	heap.sizes[size].at = slice;
	heap.sizes[size].end = slice + SLICE / bytes_of(size) * bytes_of(size);
	return true;
}

static void *allocate(void *unused, size_t bytes)
{
	size_t size = bytes > 0 ? (bytes - 1) / STEP : 0;
	void *memory;

	(void)unused;
	if (size >= SIZES)
		return heap.python.malloc(heap.python.ctx, bytes);
	memory = heap.sizes[size].freed;
	if (memory != NULL) {
		memcpy(&heap.sizes[size].freed, memory, sizeof(void *));
		return memory;
	}
	if (heap.sizes[size].at == heap.sizes[size].end && !add_slice(size))
		return heap.python.malloc(heap.python.ctx, bytes);
	memory = heap.sizes[size].at;
	heap.sizes[size].at += bytes_of(size);
	return memory;
}

static void *allocate_zeros(void *unused, size_t count, size_t each)
{
	void *memory;

	if (count > 0 && each > SMALL / count)
		return heap.python.calloc(heap.python.ctx, count, each);
	memory = allocate(unused, count * each);
	if (memory != NULL)
		memset(memory, 0, count * each);
	return memory;
}

static uintptr_t find(const void *memory)
{
	uintptr_t piece = piece_of(memory);

	return piece == (uintptr_t)heap.current ? piece : *entry_of(piece);
}

static size_t size_of(const void *memory)
{
	uintptr_t piece = piece_of(memory);

	return ((const struct piece *)piece)->size[((uintptr_t)memory - piece) / SLICE];
}

static void give_back(void *unused, void *memory)
{
	uintptr_t piece = find(memory);
	size_t size;

	(void)unused;
	if (piece == 0) {
		heap.python.free(heap.python.ctx, memory);
	} else if ((piece & OF_TEMPLATE) == 0) {
		size = size_of(memory);
		memcpy(memory, &heap.sizes[size].freed, sizeof(void *));
		heap.sizes[size].freed = memory;
	}
}

/* A block that shrinks only a little stays, as in Python's own allocator. */
static void *change(void *unused, void *memory, size_t bytes)
{
	uintptr_t piece = find(memory);
	size_t had;
	void *other;

	if (memory == NULL)
		return allocate(unused, bytes);
	if (piece == 0 || (piece & OF_TEMPLATE) != 0)
		return heap.python.realloc(heap.python.ctx, memory, bytes);
	had = bytes_of(size_of(memory));
	if (bytes <= had && (4 * bytes > 3 * had || bytes + STEP > had))
		return memory;
	other = allocate(unused, bytes);
	if (other != NULL) {
		memcpy(other, memory, bytes < had ? bytes : had);
		give_back(unused, memory);
	}
	return other;
}

void python_memory_begin(void)
{
	PyMemAllocatorEx own = {NULL, allocate, allocate_zeros, change, give_back};

	if (heap.reserved == NULL)
		return;
	PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &heap.python);
	PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &own);
	PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &own);
}
