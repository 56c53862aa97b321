/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/system/front.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL_BYTES 8192

void front_need(const char *programs)
{
	char words[256], command[WORLD_TEXT_BYTES];
	snprintf(words, sizeof(words), "%s", programs);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		snprintf(command, sizeof(command),
			"PATH=$PATH:/usr/sbin:/sbin command -v %s >/dev/null 2>&1", word);
		if (system(command) != 0)
			cr_skip_test("skipped: %s is not installed", word);
	}
}

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int front_port(void)
{
	struct sockaddr_in address = local(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	close(fd);
	return ntohs(address.sin_port);
}

void front_await(int port)
{
	struct sockaddr_in address = local(port);
	uint64_t end = world_ms() + 10000;
	for (bool is_up = false; !is_up; poll(NULL, 0, 10)) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		is_up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
		close(fd);
		cr_assert(is_up || world_ms() < end, "nobody listens at port %d", port);
	}
}

int front_shell(struct world *world, const char *format, ...)
{
	char words[SHELL_BYTES], command[SHELL_BYTES + 256];
	va_list args;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	snprintf(command, sizeof(command),
		"cd %s && exec >>front.log 2>&1; PATH=$PATH:/usr/sbin:/sbin; %s", world->folder,
		words);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

pid_t front_start(struct world *world, const char *log, char *const argv[])
{
	char *variables[] = {world->mark, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	pid_t parent = getpid();
	pid_t pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || chdir(world->folder) < 0)
			_exit(1);
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		int null = open("/dev/null", O_RDONLY);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close_range(3, ~0u, 0);
		execvpe(argv[0], argv, variables);
		_exit(127);
	}
	return pid;
}

void front_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert(waitpid(pid, NULL, 0) == pid);
}

char *front_text(struct world *world, const char *name)
{
	char path[WORLD_TEXT_BYTES];
	struct stat info = {0};
	snprintf(path, sizeof(path), "%s/%s", world->folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		fstat(fd, &info);
	char *text = calloc(1, (size_t)info.st_size + 1);
	cr_assert(text && (fd < 0 || read(fd, text, (size_t)info.st_size) >= 0));
	if (fd >= 0)
		close(fd);
	return text;
}

uint32_t front_count(struct world *world, const char *name, const char *needle)
{
	uint32_t count = 0;
	char *text = front_text(world, name);
	for (const char *at = text; (at = strstr(at, needle)); at++)
		count++;
	free(text);
	return count;
}

void front_authority(struct world *world, const char *name)
{
	int code = front_shell(world,
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		"-subj '/CN=%s' -keyout %s.key -out %s.pem && "
		"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
		"/CN=localhost -keyout %s-host.key -out %s.csr && "
		"echo 'subjectAltName=DNS:localhost' > %s.ext && "
		"openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days 2 "
		"-extfile %s.ext -out %s-host.pem",
		name, name, name, name, name, name, name, name, name, name, name);
	cr_assert(code == 0, "the certificates cannot be made");
}

pid_t front_nginx(struct world *world, const char *http, const char *server)
{
	char text[FRONT_CONFIG_BYTES];
	char *argv[] = {"nginx", "-p", world->folder, "-e", "nginx.log", "-c", "nginx.conf", NULL};
	snprintf(text, sizeof(text),
		"daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log nginx.log info;\n"
		"events { worker_connections 64; }\nhttp {\n"
		"client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fast;\n"
		"uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n"
		"log_format short '$msec $status $request';\naccess_log access.log short;\n"
		"%s\nserver {\n%s\n}\n}\n",
		http, server);
	world_file(world, "nginx.conf", text, 0644);
	return front_start(world, "nginx.out", argv);
}
