/*
 * What the fuzz harnesses share. With -fsanitize=fuzzer a harness is a libFuzzer target. Without it
 * (EXTHOST_REPLAY) the harness has a main that replays the files and directories named on the
 * command line.
 */
#ifndef EXTHOST_REPLAY_H
#define EXTHOST_REPLAY_H

#include <stddef.h>
#include <stdint.h>

/* The harness itself: one input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* End the process with this sentence unless the condition holds. */
void insist(int condition, const char *what);

/*
 * How many of the bytes make up the next piece, 1 to 64 (0 when none are left). The first of them
 * decides, so that a seed stays plain text and its cuts can still be steered.
 */
size_t piece_size(const uint8_t *bytes, size_t size);

#endif
