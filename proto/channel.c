/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"

/* One whole frame and the start of the next. */
#define CHANNEL_IN_BYTES_MAX (2 * (FRAME_BYTES_MAX + FRAME_HEAD_BYTES))

void channel_init(struct channel *channel, int fd)
{
	check(fd >= 0);
	*channel = (struct channel){.fd = fd, .state = CHANNEL_OPEN};
	bytes_init(&channel->in, CHANNEL_IN_BYTES_MAX);
	bytes_init(&channel->out, CHANNEL_QUEUE_BYTES_MAX);
}

void channel_finish(struct channel *channel)
{
	fd_drop(&channel->fd);
	bytes_finish(&channel->in);
	bytes_finish(&channel->out);
}

static bool is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

bool channel_receive(struct channel *channel)
{
	if (channel->state != CHANNEL_OPEN)
		return false;
	bytes_drop(&channel->in, channel->consumed);
	channel->consumed = 0;
	/* Small at first: most messages are, and an idle process should own little memory. */
	uint32_t room = channel->in.room - channel->in.size;
	if (room < 1024)
		room = CHANNEL_IN_BYTES_MAX - channel->in.size < 4096
			       ? CHANNEL_IN_BYTES_MAX - channel->in.size
			       : 4096;
	check(room > 0);
	uint8_t *to = bytes_reserve(&channel->in, room);
	if (!to)
		return true; /* no memory now: the bytes wait in the socket */
	ssize_t got = read(channel->fd, to, room);
	if (got > 0)
		bytes_grew(&channel->in, (uint32_t)got);
	else if (got == 0)
		channel->state = CHANNEL_ENDED;
	else if (!is_passing(errno))
		channel->state = CHANNEL_BROKEN;
	return channel->state == CHANNEL_OPEN;
}

bool channel_next(struct channel *channel, struct text *payload)
{
	struct frame frame;
	/* Before the first byte there is no buffer to point into. */
	if (channel->state == CHANNEL_VIOLATED || channel->consumed == channel->in.size)
		return false;
	switch (frame_parse(channel->in.data + channel->consumed,
		channel->in.size - channel->consumed, &frame)) {
	case FRAME_WHOLE:
		channel->consumed += frame.bytes;
		*payload = frame.payload;
		return true;
	case FRAME_SHORT: return false;
	case FRAME_END:
	case FRAME_TOO_BIG:
	case FRAME_DAMAGED: channel->state = CHANNEL_VIOLATED; return false;
	}
	return false;
}

struct bytes *channel_out(struct channel *channel)
{
	return &channel->out;
}

bool channel_flush(struct channel *channel)
{
	while (channel->out.size > 0) {
		ssize_t sent = send(
			channel->fd, channel->out.data, channel->out.size, MSG_NOSIGNAL);
		if (sent < 0 && errno == ENOTSOCK)
			sent = write(channel->fd, channel->out.data, channel->out.size);
		if (sent < 0)
			return is_passing(errno);
		bytes_drop(&channel->out, (uint32_t)sent);
	}
	return true;
}

bool channel_is_sending(const struct channel *channel)
{
	return channel->out.size > 0;
}
