/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where output goes: the file, a disk that takes a part, and the end of a flood. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/output_reader.h"
#include "supervisor/runner/sink.h"

static int file(void)
{
	char path[] = "/tmp/nixfleet-sink-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	unlink(path);
	return fd;
}

Test(sink, a_frame_that_the_disk_took_a_part_of_is_cut_off)
{
	static struct output_reader reader;
	struct sink sink;
	struct stat info;
	struct output output;
	char piece[1000];
	int fd = file(), chunks = 0, end = dup(fd);
	memset(piece, 'a', sizeof(piece));
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){2500, 2500});
	sink_init(&sink, fd);
	for (int i = 0; i < 5; i++)
		sink_take(&sink, 1, STREAM_STDOUT, piece, sizeof(piece));
	fstat(end, &info);
	cr_assert(eq(i64, info.st_size, 2500), "the last frame was not torn");
	sink_end(&sink, 2);
	cr_assert(eq(u64, sink.dropped, 3000));
	fstat(end, &info);
	cr_assert(eq(u64, (uint64_t)info.st_size, sink.offset));
	output_reader_init(&reader, end, 0);
	enum output_reader_verdict verdict;
	uint64_t missing = 0;
	while ((verdict = output_reader_next(&reader, &output)) == OUTPUT_READ) {
		chunks += output.type == OUTPUT_CHUNK;
		missing += output.type == OUTPUT_SKIPPED ? output.skipped.bytes : 0;
	}
	cr_assert(eq(int, chunks, 2));
	cr_assert(eq(u64, missing, 3000));
	cr_assert(eq(u64, reader.offset, sink.offset));
	sink_finish(&sink);
	close(end);
}

Test(sink, the_first_of_standard_output_is_kept_and_no_more)
{
	struct sink sink;
	char piece[3000];
	memset(piece, 'o', sizeof(piece));
	sink_init(&sink, -1);
	sink_keep_head(&sink);
	sink_take(&sink, 1, STREAM_STDERR, "noise\n", 6);
	sink_take(&sink, 1, STREAM_STDOUT, piece, sizeof(piece));
	sink_take(&sink, 1, STREAM_STDOUT, piece, sizeof(piece));
	cr_assert(eq(u32, sink.head.size, PROBE_OUTPUT_BYTES_MAX));
	cr_assert(eq(int, sink.head.data[0], 'o'));
	cr_assert(eq(str, sink.last_line, "noise"));
	sink_finish(&sink);
}

Test(ring, keeps_the_stream_of_each_piece)
{
	struct ring ring = {0};
	enum stream stream;
	const uint8_t *data;
	cr_assert(eq(u64, ring_put(&ring, STREAM_STDOUT, "one", 3), 0));
	cr_assert(eq(u64, ring_put(&ring, STREAM_STDOUT, "two", 3), 0));
	cr_assert(eq(u64, ring_put(&ring, STREAM_STDERR, "bad", 3), 0));
	cr_assert(eq(u32, ring_take(&ring, &stream, &data), 6));
	cr_assert(stream == STREAM_STDOUT && memcmp(data, "onetwo", 6) == 0);
	cr_assert(eq(u32, ring_take(&ring, &stream, &data), 3));
	cr_assert(stream == STREAM_STDERR && memcmp(data, "bad", 3) == 0);
	cr_assert(eq(u32, ring_take(&ring, &stream, &data), 0));
	ring_finish(&ring);
}

/* However it is cut, what comes out is the end of what went in, in order, and what is lost is
 * counted. */
static void flood(uint32_t piece_bytes, uint32_t pieces)
{
	struct ring ring = {0};
	enum stream stream;
	const uint8_t *data;
	uint32_t size;
	uint64_t lost = 0, total = (uint64_t)piece_bytes * pieces, at;
	uint8_t *piece = malloc(piece_bytes);
	for (uint32_t i = 0; i < pieces; i++) {
		for (uint32_t j = 0; j < piece_bytes; j++)
			piece[j] = (uint8_t)(((uint64_t)i * piece_bytes + j) % 251);
		lost += ring_put(&ring, i % 2 ? STREAM_STDERR : STREAM_STDOUT, piece, piece_bytes);
	}
	cr_assert(eq(u64, lost, ring.lost));
	at = lost;
	while ((size = ring_take(&ring, &stream, &data)) > 0) {
		cr_assert(le(u32, size, OUTPUT_CHUNK_BYTES_MAX));
		for (uint32_t j = 0; j < size; j++, at++) {
			bool is_odd = (at / piece_bytes) % 2;
			cr_assert(data[j] == at % 251, "byte %llu", (unsigned long long)at);
			bool is_right = is_odd == (stream == STREAM_STDERR);
			cr_assert(is_right);
		}
	}
	cr_assert(eq(u64, at, total));
	free(piece);
	ring_finish(&ring);
}

Test(ring, keeps_the_end_of_a_flood)
{
	flood(1, 3 * RING_PIECES_MAX);
	flood(7, RING_PIECES_MAX);
	flood(4099, 200);
	flood(OUTPUT_CHUNK_BYTES_MAX, 60);
	flood(3, 5);
}
