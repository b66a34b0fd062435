/*
 * FastCGI records, read and written.
 *
 * Everything here works on bytes that the caller has and keeps: no descriptor, no allocation, no
 * state but what the caller's struct holds. So the relay can use it in constant memory, the front
 * in many threads, and the tests and the fuzzer without a socket.
 *
 * Reading a reply is strict. The relay and the host come from one build, so a record that a
 * responder has no reason to send is a sign of a broken host, and a broken reply must never look
 * whole.
 */
#include "net/wire.h"

#include <string.h>

void wire_header_read(const unsigned char bytes[WIRE_HEADER], struct wire_header *header)
{
	header->version = bytes[0];
	header->type = bytes[1];
	header->request_id = (uint16_t)(bytes[2] << 8 | bytes[3]);
	header->content = (uint16_t)(bytes[4] << 8 | bytes[5]);
	header->padding = bytes[6];
}

void wire_header_write(unsigned char bytes[WIRE_HEADER], const struct wire_header *header)
{
	bytes[0] = header->version;
	bytes[1] = header->type;
	bytes[2] = (unsigned char)(header->request_id >> 8);
	bytes[3] = (unsigned char)header->request_id;
	bytes[4] = (unsigned char)(header->content >> 8);
	bytes[5] = (unsigned char)header->content;
	bytes[6] = header->padding;
	bytes[7] = 0;
}

unsigned wire_padding(size_t content)
{
	return (unsigned)(-content & 7);
}

size_t wire_record_write(unsigned char *out, enum wire_type type, uint16_t id, size_t content)
{
	const struct wire_header header = {.version = WIRE_VERSION,
	    .type = (uint8_t)type,
	    .request_id = id,
	    .content = (uint16_t)content,
	    .padding = (uint8_t)wire_padding(content)};

	wire_header_write(out, &header);
	return WIRE_HEADER;
}

size_t wire_begin_write(unsigned char *out, uint16_t id, enum wire_role role, unsigned flags)
{
	unsigned char *body = out + wire_record_write(out, WIRE_BEGIN_REQUEST, id, 8);

	memset(body, 0, 8);
	body[1] = (unsigned char)role;
	body[2] = (unsigned char)flags;
	return WIRE_FIXED;
}

static void number_write(unsigned char out[4], uint32_t number)
{
	out[0] = (unsigned char)(number >> 24);
	out[1] = (unsigned char)(number >> 16);
	out[2] = (unsigned char)(number >> 8);
	out[3] = (unsigned char)number;
}

static uint32_t number_read(const unsigned char bytes[4])
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

size_t wire_end_write(
    unsigned char *out, uint16_t id, uint32_t app_status, enum wire_status protocol_status)
{
	unsigned char *body = out + wire_record_write(out, WIRE_END_REQUEST, id, 8);

	memset(body, 0, 8);
	number_write(body, app_status);
	body[4] = (unsigned char)protocol_status;
	return WIRE_FIXED;
}

size_t wire_unknown_type_write(unsigned char *out, uint8_t type)
{
	unsigned char *body = out + wire_record_write(out, WIRE_UNKNOWN_TYPE, 0, 8);

	memset(body, 0, 8);
	body[0] = type;
	return WIRE_FIXED;
}

/* The length at *bytes, of 1 or 4 bytes, stepped over; results as wire_lengths_next. */
static int length_next(const unsigned char **bytes, size_t *size, size_t *length)
{
	size_t width;

	if (*size == 0)
		return 0;
	width = (*bytes)[0] & 0x80 ? 4 : 1;
	if (*size < width)
		return 0;
	*length = width == 1 ? (*bytes)[0] : number_read(*bytes) & 0x7fffffff;
	*bytes += width;
	*size -= width;
	return *length > WIRE_LENGTH_MAX ? -1 : 1;
}

int wire_lengths_next(
    const unsigned char **bytes, size_t *size, size_t *name_size, size_t *value_size)
{
	int result = length_next(bytes, size, name_size);

	return result == 1 ? length_next(bytes, size, value_size) : result;
}

int wire_param_next(const unsigned char **bytes, size_t *size, struct wire_param *param)
{
	if (*size == 0)
		return 0;
	if (wire_lengths_next(bytes, size, &param->name_size, &param->value_size) != 1 ||
	    param->name_size + param->value_size > *size)
		return -1;
	param->name = *bytes;
	param->value = *bytes + param->name_size;
	*bytes += param->name_size + param->value_size;
	*size -= param->name_size + param->value_size;
	return 1;
}

static size_t length_write(unsigned char *out, size_t length)
{
	if (length < 0x80) {
		out[0] = (unsigned char)length;
		return 1;
	}
	number_write(out, (uint32_t)length | 0x80000000);
	return 4;
}

size_t wire_lengths_write(unsigned char out[8], size_t name_size, size_t value_size)
{
	size_t written = length_write(out, name_size);

	return written + length_write(out + written, value_size);
}

size_t wire_param_write(unsigned char *out, size_t room, const struct wire_param *param)
{
	unsigned char lengths[8];
	size_t at = wire_lengths_write(lengths, param->name_size, param->value_size);
	size_t whole = at + param->name_size + param->value_size;

	if (whole > room)
		return 0;
	memcpy(out, lengths, at);
	memcpy(out + at, param->name, param->name_size);
	memcpy(out + at + param->name_size, param->value, param->value_size);
	return whole;
}

static enum wire_reply_event broken(struct wire_reply *reply, const char *reason)
{
	reply->broken = true;
	reply->reason = reason;
	return WIRE_REPLY_BROKEN;
}

/* Collect 8 bytes, of a header or of END_REQUEST's body, into partial. True when all are there. */
static bool collect(struct wire_reply *reply, const unsigned char **bytes, size_t *size)
{
	size_t n = WIRE_HEADER - reply->have;

	if (n > *size)
		n = *size;
	memcpy(reply->partial + reply->have, *bytes, n);
	*bytes += n;
	*size -= n;
	reply->have += n;
	if (reply->have < WIRE_HEADER)
		return false;
	reply->have = 0;
	return true;
}

/* NULL, or why no responder sends this. */
static const char *reply_fault(const struct wire_reply *reply)
{
	const struct wire_header *header = &reply->header;

	if (header->version != WIRE_VERSION)
		return "a record of another FastCGI version";
	if (header->type == WIRE_POISON)
		return "the host says that the reply failed half way";
	if (header->type != WIRE_STDOUT && header->type != WIRE_STDERR &&
	    header->type != WIRE_END_REQUEST)
		return "a record of unexpected type";
	if (header->request_id != reply->request_id)
		return "a record of another request";
	if (header->type == WIRE_END_REQUEST && header->content != 8)
		return "an END_REQUEST of wrong size";
	return NULL;
}

static enum wire_reply_event reply_end(struct wire_reply *reply)
{
	reply->app_status = number_read(reply->partial);
	reply->protocol_status = reply->partial[4];
	return WIRE_REPLY_END;
}

/* The next piece of a STDOUT or STDERR record; *size is not 0. */
static enum wire_reply_event reply_piece(struct wire_reply *reply, const unsigned char **bytes,
    size_t *size, const unsigned char **data, size_t *data_size)
{
	size_t n = reply->content_left < *size ? reply->content_left : *size;

	*data = *bytes;
	*data_size = n;
	*bytes += n;
	*size -= n;
	reply->content_left -= n;
	return reply->header.type == WIRE_STDOUT ? WIRE_REPLY_STDOUT : WIRE_REPLY_STDERR;
}

static void reply_padding(struct wire_reply *reply, const unsigned char **bytes, size_t *size)
{
	size_t n = reply->padding_left < *size ? reply->padding_left : *size;

	*bytes += n;
	*size -= n;
	reply->padding_left -= n;
	reply->in_record = reply->padding_left > 0;
}

enum wire_reply_event wire_reply_next(struct wire_reply *reply, const unsigned char **bytes,
    size_t *size, const unsigned char **data, size_t *data_size)
{
	const char *fault;

	if (reply->broken)
		return WIRE_REPLY_BROKEN;
	while (*size > 0) {
		if (!reply->in_record) {
			if (!collect(reply, bytes, size))
				break;
			wire_header_read(reply->partial, &reply->header);
			fault = reply_fault(reply);
			if (fault != NULL)
				return broken(reply, fault);
			reply->content_left = reply->header.content;
			reply->padding_left = reply->header.padding;
			reply->in_record = reply->content_left + reply->padding_left > 0;
		} else if (reply->header.type == WIRE_END_REQUEST) {
			if (collect(reply, bytes, size))
				return reply_end(reply);
		} else if (reply->content_left > 0) {
			return reply_piece(reply, bytes, size, data, data_size);
		} else {
			reply_padding(reply, bytes, size);
		}
	}
	return WIRE_REPLY_MORE;
}
