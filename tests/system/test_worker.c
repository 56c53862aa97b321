/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fd.h"
#include "proto/output.h"
#include "proto/record.h"
#include "tests/system/rig.h"

static struct rig rig;

static void make(void)
{
	/* What this machine has set must not decide where the requests go. */
	static const char *const variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
		"all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"};
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	rig_open(&rig);
}

static void finish(void)
{
	rig_close(&rig);
}

TestSuite(worker, .init = make, .fini = finish, .timeout = 60);

/* Runs the program by hand; its exit code, and what it printed. */
static int by_hand(const char *arguments, char *said, size_t room)
{
	char command[1024];
	snprintf(command, sizeof(command), "exec 3<&- 4<&-; '%s/worker/nixfleet-worker' %s 2>&1",
		getenv("NIXFLEET_BUILD"), arguments);
	FILE *pipe = popen(command, "r");
	size_t got = fread(said, 1, room - 1, pipe);
	said[got] = '\0';
	return WEXITSTATUS(pclose(pipe));
}

static bool said(const char *what)
{
	return strstr(rig.request, what) != NULL;
}

/* Both registrations of a start. */
static void register_twice(void)
{
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, "");
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, "");
}

static void kept(bool good)
{
	rig_say(&rig, &(struct message){.type = MESSAGE_KEPT,
			      .kept = {good, good ? TEXT_NONE : text_of("disk full")}});
}

static void accepted(uint64_t request, const char *run, const char *command)
{
	rig_say(&rig, &(struct message){.type = MESSAGE_ACCEPTED,
			      .accepted = {request, text_of(run), text_of(command), false}});
}

static void ended(const char *run, const char *command, uint64_t outcome, const char *summary)
{
	rig_say(&rig, &(struct message){.type = MESSAGE_ENDED,
			      .ended = {.run = text_of(run),
				      .command = text_of(command),
				      .outcome = outcome,
				      .reason = TEXT_NONE,
				      .summary = text_of(summary),
				      .owed = true}});
}

static void network(void)
{
	rig_say(&rig, &(struct message){.type = MESSAGE_NETWORK, .network = {1}});
}

/* The link as the worker sees it; waits until it is that. The next try is waited for where it is
 * not up. */
static char *wait_for_link(uint64_t link)
{
	static char detail[REASON_BYTES_MAX + 1];
	for (int i = 0; i < 500; i++) {
		struct message pong = rig_ping(&rig);
		text_copy(pong.pong.detail, detail, sizeof(detail));
		if (pong.pong.link == link) {
			bool is_waiting = link == LINK_WAITING || link == LINK_REFUSED;
			cr_assert(eq(int, pong.pong.retry_ms != UINT64_MAX, is_waiting));
			return detail;
		}
		usleep(10000);
	}
	cr_fatal("the link never became %s: %s", link_name(link), detail);
}

Test(worker, by_hand_it_explains_itself)
{
	static const struct {
		const char *arguments;
		int code;
		const char *words;
	} rows[] = {
		{"", 64, "started by nixfleet-agent"},
		{"--help", 0, "Usage: nixfleet-worker"},
		{"--version", 0, "nixfleet-worker " NIXFLEET_VERSION},
		{"--frobnicate", 64, "--help"},
		{"--probe", 64, "needs a URL"},
		{"--replay", 64, "needs a file"},
		{"--replay /dev/null", 1, "no recording"},
		{"--probe 'http://'", 1, "is no URL"},
		{"--probe http://127.0.0.1:1/", 1, "connection refused by 127.0.0.1:1"},
		{"--probe wss://127.0.0.1:1/ws", 1, "connection refused by 127.0.0.1:1"},
		{"--probe https://no-such-host.invalid", 1, "cannot resolve no-such-host.invalid"},
	};
	char text[4096];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert(eq(int, by_hand(rows[i].arguments, text, sizeof(text)), rows[i].code),
			"%s: %s", rows[i].arguments, text);
		cr_assert(strstr(text, rows[i].words) != NULL, "%s: %s", rows[i].arguments, text);
	}
}

Test(worker, a_probe_connects_without_tls_and_says_nothing)
{
	char text[4096];
	char arguments[128];
	snprintf(arguments, sizeof(arguments), "--probe https://127.0.0.1:%d/x", rig.port);
	cr_assert(eq(int, by_hand(arguments, text, sizeof(text)), 0));
	cr_assert(eq(str, text, ""));
	/* Through a proxy only the proxy is connected to. */
	char proxy[128];
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", rig.port);
	setenv("https_proxy", proxy, 1);
	cr_assert(eq(int, by_hand("--probe https://no-such-host.invalid", text, sizeof(text)), 0),
		"%s", text);
	setenv("no_proxy", "no-such-host.invalid", 1);
	cr_assert(eq(int, by_hand("--probe https://no-such-host.invalid", text, sizeof(text)), 1));
}

Test(worker, nothing_is_sent_before_the_gate_opens)
{
	rig_start(&rig);
	struct message ready = rig_expect(&rig, MESSAGE_READY);
	cr_assert(eq(u64, ready.ready.epoch, 7));
	struct message pong = rig_ping(&rig);
	cr_assert(eq(u64, pong.pong.link, LINK_NONE));
	cr_assert(eq(u64, pong.pong.contact_ms, UINT64_MAX));
	cr_assert(not(rig_request(&rig, 300)));
	rig_say(&rig, &(struct message){.type = MESSAGE_OPEN});
	register_twice();
	wait_for_link(LINK_UP);
	cr_assert(lt(u64, rig_ping(&rig).pong.contact_ms, 1000));
}

Test(worker, a_registration_says_who_we_are)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	cr_assert(said("Authorization: Bearer shared-secret\r\n"));
	cr_assert(said("Content-Type: application/json\r\n"));
	cr_assert(said("\"hostname\":\"Toy\""));
	cr_assert(said("\"nixpkgs_version\":\"24.11\""));
	cr_assert(said("\"poll_interval\":30"));
	cr_assert(said("\"metrics\":{\"cpu\":"));
	cr_assert(not(said("current_generation")));
}

Test(worker, a_token_is_kept_before_it_is_used)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, ",\"agent_token\":\"own-secret\",\"command\":\"switch\"");
	/* First what the server has forgotten already. */
	struct message run = rig_expect(&rig, MESSAGE_RUN);
	cr_assert(text_is(run.run.command, "switch"));
	accepted(run.run.request, "r-1", "switch");
	struct message token = rig_expect(&rig, MESSAGE_TOKEN);
	cr_assert(text_is(token.token.token, "own-secret"));
	cr_assert(not(rig_request(&rig, 300)));
	kept(true);
	rig_expect_request(&rig, "register");
	cr_assert(said("Authorization: Bearer own-secret\r\n"));
	/* Refused, it gives way to the shared one. */
	rig_answer(&rig, 401, "", "{\"detail\":\"Invalid token own-secret\"}");
	rig_expect_request(&rig, "register");
	cr_assert(said("Authorization: Bearer shared-secret\r\n"));
	rig_answer(&rig, 401, "", "{\"detail\":\"Invalid token\"}");
	char *detail = wait_for_link(LINK_REFUSED);
	cr_assert(strstr(detail, "HTTP 401") != NULL, "%s", detail);
	cr_assert(strstr(detail, "secret") == NULL, "%s", detail);
}

Test(worker, a_token_that_cannot_be_kept_is_used_all_the_same)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, ",\"agent_token\":\"own-secret\"");
	rig_expect(&rig, MESSAGE_TOKEN);
	kept(false);
	rig_expect_request(&rig, "register");
	cr_assert(said("Authorization: Bearer own-secret\r\n"));
}

static void write_output(const char *run, const char *text)
{
	char path[256];
	struct bytes frame;
	bytes_init(&frame, 65536);
	struct output value = {.type = OUTPUT_CHUNK, .chunk = {1, STREAM_STDOUT, text_of(text)}};
	cr_assert(eq(int, output_encode(&value, &frame), 0));
	snprintf(path, sizeof(path), "%s/%s.out", rig.folder, run);
	own_fd fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	cr_assert(eq(int, fd_write_all(fd, frame.data, frame.size), 0));
	bytes_finish(&frame);
}

Test(worker, an_outcome_over_which_workers_died_is_delivered_without_its_output)
{
	rig_start_open(&rig);
	register_twice();
	write_output("r-1", "poison\n");
	rig_say(&rig, &(struct message){.type = MESSAGE_ENDED,
			      .ended = {.run = text_of("r-1"),
				      .command = text_of("switch"),
				      .outcome = OUTCOME_EXITED,
				      .reason = TEXT_NONE,
				      .summary = TEXT_NONE,
				      .owed = true,
				      .withheld = true}});
	rig_expect_request(&rig, "status");
	cr_assert(said("\"status\":\"ok\""));
	cr_assert(not(said("poison")));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	rig_expect(&rig, MESSAGE_DELIVERED);
}

Test(worker, an_outcome_is_delivered_with_its_output)
{
	rig_start_open(&rig);
	register_twice();
	write_output("r-1", "\x1b[32mactivating\x1b[0m\n");
	uint64_t start = rig_ms();
	ended("r-1", "switch", OUTCOME_EXITED, "");
	rig_expect_request(&rig, "status");
	cr_assert(lt(u64, rig_ms() - start, 500));
	cr_assert(said("\"status\":\"ok\""));
	cr_assert(said("\"comment\":\"switch: done\""));
	cr_assert(said("\"output\":\"activating\\n\""));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	struct message delivered = rig_expect(&rig, MESSAGE_DELIVERED);
	cr_assert(text_is(delivered.delivered.run, "r-1"));
	rig_say(&rig, &(struct message){.type = MESSAGE_MARKED, .marked = {text_of("r-1")}});
	cr_assert(not(rig_request(&rig, 300)));
}

Test(worker, a_report_without_a_reply_is_sent_again)
{
	rig_start_open(&rig);
	register_twice();
	ended("r-1", "pull", OUTCOME_EXITED, "");
	rig_expect_request(&rig, "status");
	rig_hang_up(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, "");
	rig_expect_request(&rig, "status");
	rig_answer_good(&rig, "");
	rig_expect(&rig, MESSAGE_DELIVERED);
}

Test(worker, a_report_that_is_objected_to_is_cut_down_then_given_up)
{
	rig_start_open(&rig);
	register_twice();
	ended("r-1", "pull", OUTCOME_EXITED, "");
	rig_expect_request(&rig, "status");
	cr_assert(said("\"output\":"));
	rig_answer(&rig, 422, "", "{\"detail\":\"output\"}");
	rig_expect_request(&rig, "status");
	cr_assert(not(said("\"output\":")));
	rig_answer(&rig, 422, "", "{\"detail\":\"comment\"}");
	struct message message = rig_expect(&rig, MESSAGE_UNDELIVERABLE);
	cr_assert(text_is(message.undeliverable.reason, "HTTP 422: comment"));
}

static void append_record(const char *run, const struct record_frame *frame)
{
	char path[256];
	struct record record;
	snprintf(path, sizeof(path), "%s/%s.run", rig.folder, run);
	own_fd fd = open(path, O_RDWR | O_CREAT, 0600);
	cr_assert(eq(int, record_read(fd, &record), 0));
	cr_assert(eq(int, record_append(fd, &record, frame), 0));
}

static void progress(uint64_t current, uint64_t passed)
{
	append_record("t-1", &(struct record_frame){.type = RECORD_PROGRESS,
				     .progress = {current, 8, passed, text_of("T.sh")}});
}

Test(worker, a_test_is_followed_and_its_progress_ended)
{
	append_record("t-1",
		&(struct record_frame){.type = RECORD_ACCEPTED,
			.accepted = {1, text_of("test"), ORIGIN_DASHBOARD, text_of(rig.url), 0}});
	rig_start_open(&rig);
	register_twice();
	rig_say(&rig, &(struct message){.type = MESSAGE_STARTED,
			      .started = {text_of("t-1"), text_of("test"), 1, 0, true}});
	progress(1, 0);
	rig_expect_request(&rig, "test-progress");
	cr_assert(said("\"current\":1,\"total\":8,\"passed\":0,\"running\":true"));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	progress(2, 1);
	progress(3, 2);
	rig_expect_request(&rig, "test-progress");
	cr_assert(said("\"running\":true"));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	progress(8, 7);
	ended("t-1", "test", OUTCOME_EXITED, "7/8 pass, 1 fail");
	/* A last progress may still be on its way. */
	rig_request(&rig, 2000);
	if (said("test-progress") && said("\"running\":true")) {
		rig_answer_good(&rig, "");
		rig_request(&rig, 2000);
	}
	cr_assert(said("/register HTTP"));
	rig_answer_good(&rig, ",\"command\":\"pull\"");
	struct message run = rig_expect(&rig, MESSAGE_RUN);
	cr_assert(text_is(run.run.command, "pull"));
	rig_expect_request(&rig, "test-progress");
	cr_assert(said("\"current\":8,\"total\":8,\"passed\":7,\"running\":false"));
	cr_assert(said("\"result\":\"7/8 pass, 1 fail\""));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	rig_expect_request(&rig, "status");
	cr_assert(said("\"test_status\":\"7/8 pass, 1 fail\""));
	rig_answer(&rig, 200, "", "{\"status\":\"updated\"}");
	rig_expect(&rig, MESSAGE_DELIVERED);
}

Test(worker, stopping_finishes_what_is_on_the_wire)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_say(&rig, &(struct message){.type = MESSAGE_STOP, .stop = {5000}});
	/* It is on the wire, so the worker waits; and answers all the while. */
	rig_ping(&rig);
	rig_answer_good(&rig, ",\"command\":\"switch\"");
	struct message run = rig_expect(&rig, MESSAGE_RUN);
	rig_ping(&rig);
	accepted(run.run.request, "r-1", "switch");
	cr_assert(eq(int, rig_wait(&rig, 1000), 0));
}

Test(worker, stopping_does_not_wait_for_ever)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	uint64_t start = rig_ms();
	rig_say(&rig, &(struct message){.type = MESSAGE_STOP, .stop = {500}});
	cr_assert(eq(int, rig_wait(&rig, 3000), 0));
	cr_assert(ge(u64, rig_ms() - start, 490));
}

Test(worker, the_channels_end_is_its_end)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	channel_finish(&rig.channel);
	cr_assert(eq(int, rig_wait(&rig, 1000), 0));
}

Test(worker, the_parents_end_is_its_end)
{
	/* This process holds the channel all along, so its end cannot be what ends the worker; only
	 * a parent in between dies. */
	int pipe_ends[2];
	int end = rig_connect(&rig);
	cr_assert(eq(int, prctl(PR_SET_CHILD_SUBREAPER, 1), 0));
	cr_assert(eq(int, pipe(pipe_ends), 0));
	pid_t parent = fork();
	if (parent == 0) {
		rig_start_on(&rig, end);
		rig_expect(&rig, MESSAGE_READY);
		if (write(pipe_ends[1], &rig.worker, sizeof(rig.worker)) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	close(end);
	cr_assert(eq(sz, (size_t)read(pipe_ends[0], &rig.worker, sizeof(rig.worker)),
		sizeof(rig.worker)));
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	cr_assert(eq(int, rig_wait(&rig, 2000), 1000 + SIGKILL));
}

Test(worker, signals_of_the_group_are_the_supervisors_to_decide)
{
	rig_start_open(&rig);
	register_twice();
	kill(rig.worker, SIGTERM);
	kill(rig.worker, SIGINT);
	kill(rig.worker, SIGHUP);
	rig_ping(&rig);
}

Test(worker, a_supervisor_gone_mad_ends_it)
{
	static const struct message wrong[] = {
		{.type = MESSAGE_READY},
		{.type = MESSAGE_HELLO, .hello = {.interval_ms = 1, .spread_ms = 1}},
	};
	rig_start(&rig);
	rig_expect(&rig, MESSAGE_READY);
	rig_say_bytes(&rig, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	cr_assert(eq(int, rig_wait(&rig, 1000), 1));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		channel_finish(&rig.channel);
		rig.is_gone = false;
		rig_start(&rig);
		rig_expect(&rig, MESSAGE_READY);
		rig_say(&rig, &wrong[i]);
		cr_assert(eq(int, rig_wait(&rig, 1000), 1));
	}
}

Test(worker, half_a_frame_waits_for_the_other_half)
{
	struct bytes frame;
	rig_start(&rig);
	rig_expect(&rig, MESSAGE_READY);
	bytes_init(&frame, 1024);
	struct message ping = {.type = MESSAGE_PING, .ping = {9}};
	cr_assert(eq(int, message_encode(&ping, &frame), 0));
	for (uint32_t i = 0; i < frame.size; i++) {
		rig_say_bytes(&rig, frame.data + i, 1);
		usleep(1000);
	}
	struct message pong = rig_expect(&rig, MESSAGE_PONG);
	cr_assert(eq(u64, pong.pong.sequence, 9));
	bytes_finish(&frame);
}

/* What a server may do wrong: nothing dies, the reason is told, and the next good one is obeyed. */
Test(worker, bad_answers_are_survived)
{
	static char huge[300000];
	memset(huge, 'x', sizeof(huge) - 1);
	static char deep[401];
	memset(deep, '[', 200);
	memset(deep + 200, ']', 200);
	const struct {
		int code;
		const char *headers;
		const char *body;
		const char *words;
	} rows[] = {
		{200, "", "<html>log in</html>", "not JSON"},
		{200, "", "{}", "not what a dashboard says"},
		{200, "", "", "empty"},
		{200, "", huge, "too large"},
		{200, "", deep, "too deep"},
		{500, "", "Internal Server Error", "HTTP 500: Internal Server Error"},
		{302, "Location: http://127.0.0.1:1/\r\n", "", "redirects are not followed"},
		{204, "", "", "empty"},
	};
	rig.hello.spread_ms = 60000;
	rig_start_open(&rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig_expect_request(&rig, "register");
		rig_answer(&rig, rows[i].code, rows[i].headers, rows[i].body);
		char *detail = wait_for_link(LINK_WAITING);
		cr_assert(strstr(detail, rows[i].words) != NULL, "%s: %s", rows[i].words, detail);
		rig_hang_up(&rig);
		network();
	}
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, ",\"command\":\"pull\"");
	struct message run = rig_expect(&rig, MESSAGE_RUN);
	cr_assert(text_is(run.run.command, "pull"));
}

Test(worker, endless_headers_and_cut_answers_are_survived)
{
	char line[1100];
	memset(line, 'h', sizeof(line));
	memcpy(line, "X: ", 3);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	rig.hello.spread_ms = 60000;
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_bytes(&rig, "HTTP/1.1 200 OK\r\n", 17);
	for (int i = 0; i < 200; i++)
		rig_answer_bytes(&rig, line, sizeof(line));
	char *detail = wait_for_link(LINK_WAITING);
	cr_assert(strstr(detail, "too large") != NULL, "%s", detail);
	static const char answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{\"status\":\"registered\"}";
	for (uint32_t cut = 0; cut < sizeof(answer) - 1; cut += 9) {
		rig_hang_up(&rig);
		network();
		rig_expect_request(&rig, "register");
		rig_answer_bytes(&rig, answer, cut);
		rig_hang_up(&rig);
		wait_for_link(LINK_WAITING);
	}
}

Test(worker, a_pause_the_server_asks_for_is_kept)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	uint64_t start = rig_ms();
	rig_answer(&rig, 429, "Retry-After: 3\r\n", "slow down");
	wait_for_link(LINK_WAITING);
	network();
	rig_expect_request(&rig, "register");
	cr_assert(ge(u64, rig_ms() - start, 2900));
}

Test(worker, a_pause_may_be_a_date)
{
	char header[128];
	char date[64];
	struct tm parts;
	time_t later = time(NULL) + 4;
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &parts));
	snprintf(header, sizeof(header), "Retry-After: %s\r\n", date);
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	uint64_t start = rig_ms();
	rig_answer(&rig, 503, header, "");
	rig_expect_request(&rig, "register");
	cr_assert(ge(u64, rig_ms() - start, 1900));
}

Test(worker, a_dashboard_that_is_away_is_tried_without_a_storm)
{
	rig.hello.spread_ms = 1000;
	fd_drop(&rig.listener);
	rig_start_open(&rig);
	char *detail = wait_for_link(LINK_WAITING);
	cr_assert(strstr(detail, "connect") != NULL, "%s", detail);
	uint64_t before = rig_ping(&rig).pong.events;
	uint64_t start = rig_ms();
	/* However often the network changes: one try a second. */
	for (int i = 0; i < 200; i++) {
		network();
		usleep(10000);
	}
	uint64_t after = rig_ping(&rig).pong.events;
	uint64_t tries = 2 + (rig_ms() - start) / 1000;
	/* Each change is an event, each try at most four more. */
	cr_assert(le(u64, after - before, 200 + 4 * tries));
}

Test(worker, a_proxy_sees_the_request)
{
	char proxy[128];
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", rig.port);
	setenv("http_proxy", proxy, 1);
	rig.hello.url = text_of("http://fleet.invalid:8000");
	rig_start_open(&rig);
	cr_assert(rig_request(&rig, 5000));
	cr_assert(said("POST http://fleet.invalid:8000/api/hosts/toy/register HTTP/1.1\r\n"));
	rig_answer_good(&rig, "");
}

Test(worker, a_tunnel_never_sees_the_token)
{
	char proxy[128];
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", rig.port);
	setenv("https_proxy", proxy, 1);
	rig.hello.url = text_of("https://fleet.invalid");
	rig_start_open(&rig);
	cr_assert(rig_request(&rig, 5000));
	cr_assert(said("CONNECT fleet.invalid:443 HTTP/1.1\r\n"));
	cr_assert(not(said("secret")));
}

Test(worker, a_slow_server_does_not_make_a_ping_late)
{
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_bytes(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", 42);
	for (int i = 0; i < 20; i++) {
		uint64_t start = rig_ms();
		rig_ping(&rig);
		cr_assert(lt(u64, rig_ms() - start, 200));
		rig_answer_bytes(&rig, " ", 1);
	}
}

Test(worker, heartbeats_keep_their_pace)
{
	rig.hello.interval_ms = 100;
	rig_start_open(&rig);
	uint32_t beats = rig_serve(&rig, 3000);
	cr_assert(ge(u32, beats, 25));
	cr_assert(le(u32, beats, 32));
}

Test(worker, its_flight_is_recorded)
{
	char arguments[128];
	char text[8192];
	rig.hello.interval_ms = 100;
	rig_start_open(&rig);
	rig_expect_request(&rig, "register");
	rig_answer_good(&rig, ",\"agent_token\":\"own-secret\"");
	rig_expect(&rig, MESSAGE_TOKEN);
	kept(true);
	rig_serve(&rig, 500);
	kill(rig.worker, SIGKILL);
	rig_wait(&rig, 1000);
	snprintf(arguments, sizeof(arguments), "--replay %s/flight", rig.folder);
	cr_assert(eq(int, by_hand(arguments, text, sizeof(text)), 0), "%s", text);
	cr_assert(strstr(text, "identical") != NULL, "%s", text);
	snprintf(arguments, sizeof(arguments), "--replay --print %s/flight", rig.folder);
	cr_assert(eq(int, by_hand(arguments, text, sizeof(text)), 0), "%s", text);
	cr_assert(strstr(text, "-> heartbeat id=1 token=shared") != NULL, "%s", text);
	/* No secret is in it. */
	char *bytes = malloc(1024 * 1024);
	cr_assert(eq(sz, (size_t)pread(rig.flight, bytes, 1024 * 1024, 0), 1024 * 1024));
	cr_assert(eq(ptr, memmem(bytes, 1024 * 1024, "secret", 6), NULL));
	free(bytes);
}

Test(worker, a_commit_that_only_git_knows_is_asked_for)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/.git", rig.folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/.git/HEAD", rig.folder);
	FILE *file = fopen(path, "we");
	fputs("something else\n", file);
	fclose(file);
	rig_start_open(&rig);
	struct message probe = rig_expect(&rig, MESSAGE_PROBE);
	cr_assert(text_is(probe.probe.name, "git-head"));
	rig_say(&rig, &(struct message){.type = MESSAGE_PROBED,
			      .probed = {probe.probe.request, text_of("git-head"), OUTCOME_EXITED,
				      0, text_of("71789be985f56d4cb26b34c576e2b5ff3fa36160\n")}});
	rig_expect_request(&rig, "register");
	cr_assert(said("\"current_generation\":\"71789be985f56d4cb26b34c576e2b5ff3fa36160\""));
}
