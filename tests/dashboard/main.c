/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A little NixFleet dashboard, over HTTP and WebSocket: for the demo, and the server that tests run
 * against. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>

#include "proto/base/fd.h"
#include "proto/base/limits.h"
#include "proto/base/log.h"
#include "tests/dashboard/routes.h"

#define EXIT_USAGE 64

static const char help[] =
	"Usage: nixfleet-dashboard [OPTION]...\n"
	"A little NixFleet dashboard, over HTTP and WebSocket (/ws), for demonstrations and "
	"tests.\n"
	"\n"
	"  --listen ADDRESS:PORT  where to listen (127.0.0.1:8000; port 0: any free one)\n"
	"  --port-file FILE       write the port there once it listens\n"
	"  --log FILE             append one JSON line for each request\n"
	"  --token TOKEN          the shared token of all hosts (without it, nobody is asked)\n"
	"  --provision            hand each host a token of its own, once\n"
	"  --rate-limits          keep the original's limits of requests a minute\n"
	"  --idle-ms N, --ping-ms N   a WebSocket is closed after N ms without a frame (60000);\n"
	"                         it is pinged every N ms (54000)\n"
	"  --no-output-log        no log line for each line that a command wrote\n"
	"  --help, --version\n"
	"\n"
	"For the page and for tests, without a token (see / for the page itself):\n"
	"  GET    /api/hosts, /api/hosts/ID          everything that is known\n"
	"  POST   /api/hosts/ID/command              {\"command\":\"switch\"[,\"force\":true]};\n"
	"         \"kill\" over WebSocket takes \"kill_command\":\"SIGTERM\" to be sent as older\n"
	"         dashboards do; \"force\" sends what the web API would refuse, and waits for an\n"
	"         absent host\n"
	"  DELETE /api/hosts/ID                      forget the host and its token\n"
	"  POST   /api/hosts/ID/rotate, .../provision\n"
	"  POST   /api/faults                        "
	"{\"match\":\"status\",\"kind\":\"drop\",\"count\":1}\n"
	"         or an array of such, whose effects come together; \"host\":ID\n"
	"         match: register status test-progress poll any upgrade; WebSocket frames also\n"
	"                heartbeat output command_rejected operation_progress test_progress;\n"
	"                connect (once connected), now (all connections)\n"
	"         kind:  drop delay trickle (\"ms\") cut (\"bytes\") code (\"status\", "
	"\"retry_after\",\n"
	"                \"body\") garbage truncated deep types html huge (\"bytes\");\n"
	"         kind over WebSocket: drop delay cut half_open stop_reading text_garbage binary\n"
	"                big (\"bytes\") raw (\"body\") close (\"code\") no_pong cut_input "
	"(\"bytes\")\n"
	"                evict\n"
	"                \"act\": whether the request or frame is acted on first\n"
	"  DELETE /api/faults\n";

/* ADDRESS:PORT; false where it is not that. */
static bool read_listen(const char *text, struct dashboard_options *options)
{
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(options->address))
		return false;
	char *end = NULL;
	errno = 0;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (errno || end == colon + 1 || *end || colon[1] == '-' || port > UINT16_MAX)
		return false;
	memcpy(options->address, text, (size_t)(colon - text));
	options->address[colon - text] = '\0';
	options->port = (uint16_t)port;
	return true;
}

/* The option's argument: 1 ms to an hour. Never returns where it is not that. */
static uint32_t read_ms(const char *name)
{
	char *end = NULL;
	unsigned long ms = strtoul(optarg, &end, 10);
	if (*optarg >= '0' && *optarg <= '9' && !*end && ms >= 1 && ms <= FAULT_MS_MAX)
		return (uint32_t)ms;
	fprintf(stderr, "nixfleet-dashboard: %s wants 1 to %d\n", name, FAULT_MS_MAX);
	exit(EXIT_USAGE);
}

/* Never returns where the process is to end. */
static void read_options(int argc, char **argv, struct dashboard_options *options)
{
	static const struct option table[] = {{"listen", required_argument, NULL, 'l'},
		{"port-file", required_argument, NULL, 'p'}, {"log", required_argument, NULL, 'o'},
		{"token", required_argument, NULL, 't'}, {"provision", no_argument, NULL, 'v'},
		{"rate-limits", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'}, {"idle-ms", required_argument, NULL, 'i'},
		{"ping-ms", required_argument, NULL, 'g'},
		{"no-output-log", no_argument, NULL, 'n'}, {0}};
	*options = (struct dashboard_options){.address = "127.0.0.1",
		.port = 8000,
		.log_output = true,
		.idle_ms = SOCKET_IDLE_MS,
		.ping_ms = SOCKET_PING_MS};
	for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		switch (option) {
		case 'l':
			if (read_listen(optarg, options))
				break;
			fprintf(stderr, "nixfleet-dashboard: --listen wants ADDRESS:PORT\n");
			exit(EXIT_USAGE);
		case 'p': options->port_file = optarg; break;
		case 'o': options->log_file = optarg; break;
		case 't': options->token = optarg; break;
		case 'v': options->provision = true; break;
		case 'n': options->log_output = false; break;
		case 'i': options->idle_ms = read_ms("--idle-ms"); break;
		case 'g': options->ping_ms = read_ms("--ping-ms"); break;
		case 'r': options->rate_limits = true; break;
		case 'h': fputs(help, stdout); exit(0);
		case 'V': puts("nixfleet-dashboard " NIXFLEET_VERSION); exit(0);
		default: fprintf(stderr, "Try 'nixfleet-dashboard --help'.\n"); exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"nixfleet-dashboard: no arguments wanted: %s\n"
			"Try 'nixfleet-dashboard --help'.\n",
			argv[optind]);
		exit(EXIT_USAGE);
	}
}

/* The port the socket really has, or 0. */
static uint16_t bound_port(struct evhttp_bound_socket *bound)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size) != 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						   : ((struct sockaddr_in *)&address)->sin_port);
}

static int write_port_file(const char *path, uint16_t port)
{
	char copies[2][PATH_BYTES_MAX];
	char text[8];
	if (strlen(path) >= PATH_BYTES_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(copies[0], path);
	strcpy(copies[1], path);
	own_fd folder = open(dirname(copies[0]), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int size = snprintf(text, sizeof(text), "%u\n", port);
	if (folder < 0)
		return -1;
	return fd_replace_file(folder, basename(copies[1]), text, (size_t)size, 0644);
}

static void on_signal(evutil_socket_t signal, short what, void *data)
{
	(void)signal, (void)what;
	event_base_loopbreak(data);
}

/* The HTTP server, listening, or NULL with what failed on standard error. */
static struct evhttp *serve(struct dashboard *dashboard)
{
	const struct dashboard_options *options = &dashboard->options;
	struct evhttp *http = evhttp_new(dashboard->base);
	if (!http)
		return NULL;
	evhttp_set_allowed_methods(http,
		EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE | EVHTTP_REQ_HEAD |
			EVHTTP_REQ_PUT | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH | EVHTTP_REQ_TRACE);
	evhttp_set_max_body_size(http, DASHBOARD_BODY_BYTES_MAX);
	evhttp_set_max_headers_size(http, DASHBOARD_HEADER_BYTES_MAX);
	evhttp_set_timeout(http, DASHBOARD_IDLE_S);
	evhttp_set_gencb(http, routes_handle, dashboard);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(
		http, options->address, options->port);
	uint16_t port = bound ? bound_port(bound) : 0;
	if (port == 0) {
		log_error("cannot listen on %s:%u: %s", options->address, options->port,
			strerror(errno));
		evhttp_free(http);
		return NULL;
	}
	if (options->port_file && write_port_file(options->port_file, port) != 0) {
		log_error("cannot write %s: %s", options->port_file, strerror(errno));
		evhttp_free(http);
		return NULL;
	}
	log_info("listening on http://%s:%u/", options->address, port);
	return http;
}

/* Serves until a signal ends it. The exit code. */
static int run(struct dashboard *dashboard)
{
	struct event *stops[] = {evsignal_new(dashboard->base, SIGTERM, on_signal, dashboard->base),
		evsignal_new(dashboard->base, SIGINT, on_signal, dashboard->base)};
	if (!stops[0] || !stops[1] || events_init(&dashboard->events, dashboard) != 0)
		return 1;
	event_add(stops[0], NULL);
	event_add(stops[1], NULL);
	hosts_init(&dashboard->hosts);
	faults_init(&dashboard->faults);
	rates_init(&dashboard->rates);
	spoils_init(&dashboard->spoils, dashboard->base);
	sockets_init(&dashboard->sockets, dashboard);
	struct evhttp *http = serve(dashboard);
	if (http)
		event_base_dispatch(dashboard->base);
	spoils_finish(&dashboard->spoils);
	sockets_finish(&dashboard->sockets);
	events_finish(&dashboard->events);
	if (http)
		evhttp_free(http);
	hosts_finish(&dashboard->hosts);
	event_free(stops[0]);
	event_free(stops[1]);
	return http ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct dashboard *dashboard = calloc(1, sizeof(*dashboard));
	if (!dashboard)
		return 1;
	log_open("nixfleet-dashboard");
	read_options(argc, argv, &dashboard->options);
	signal(SIGPIPE, SIG_IGN);
	int code = 1;
	dashboard->base = event_base_new();
	if (!dashboard->base)
		log_error("no event base");
	else if (request_log_open(&dashboard->log, dashboard->options.log_file) != 0)
		log_error("cannot open %s: %s", dashboard->options.log_file, strerror(errno));
	else
		code = run(dashboard);
	request_log_close(&dashboard->log);
	if (dashboard->base)
		event_base_free(dashboard->base);
	free(dashboard);
	return code;
}
