/* The tiny language: what struct binding asks of a language, and no more. */
#ifndef EXTHOST_TINY_H
#define EXTHOST_TINY_H

struct binding;

extern const struct binding tiny_binding;

#endif
