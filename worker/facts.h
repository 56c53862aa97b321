/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the host's files say now, without starting a program. Each part is read by a file of its own
 * (facts_git.c and so on); all system paths lie below a root that tests choose.
 */
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/time.h"
#include "worker/core/policy.h"

#define FACT_TEXT_BYTES_MAX 64
#define FACT_HASH_BYTES     64 /* SHA-256 in hex */

/* The repository's commit. */
enum facts_commit {
	FACTS_COMMIT_KNOWN,
	FACTS_COMMIT_NONE, /* no repository, or nothing committed yet */
	FACTS_COMMIT_ASK,  /* only git itself can tell */
};

struct facts_metrics {
	bool is_known; /* cpu and ram, without which the others say nothing */
	bool has_swap;
	bool has_load;
	double cpu; /* percent, as ram and swap */
	double ram;
	double swap;
	double load;
};

/* The processor's counters. */
struct facts_cpu {
	uint64_t busy;
	uint64_t all;
};

#define FACTS_PROC_FILES 2

/* What is kept of the kernel's counters from look to look; zeros before the first. */
struct facts_kernel {
	struct facts_cpu cpu;      /* at the look before */
	int fds[FACTS_PROC_FILES]; /* each stays open: opening costs more than reading */
	bool is_open;
};

/* Which file it was. What was made of a file's content is made again when that is another one. */
struct facts_stamp {
	uint64_t device;
	uint64_t inode;
	uint64_t bytes;
	int64_t modified_ns;
};

struct facts_lock {
	struct facts_stamp stamp;
	char hash[FACT_HASH_BYTES + 1]; /* empty: no such file */
};

/* Where git keeps what belongs to a checkout; zeros before the first look. */
#define FACTS_GIT_PATH_BYTES (2 * PATH_BYTES_MAX)
struct facts_repository {
	struct facts_stamp top; /* of .git; zeros: it was not found where it is looked for */
	struct facts_stamp config;
	/* Of the files that told the commit; zeros: it was not there. */
	struct facts_stamp head;
	struct facts_stamp ref;
	struct facts_stamp packed;
	uint32_t links;                    /* from HEAD to the commit: refs that were followed */
	char commit[COMMIT_BYTES_MAX + 1]; /* empty: it is read anew */
	char name[FACTS_GIT_PATH_BYTES];   /* of the ref, as a path below common; empty: detached */
	char folder[FACTS_GIT_PATH_BYTES]; /* of this worktree */
	char common[FACTS_GIT_PATH_BYTES]; /* of all of them */
	bool is_files;                     /* refs are stored in files */
	bool is_hidden; /* a folder on the way is closed to this process, which has no capabilities
			 */
};

/* The texts may become empty: no file tells them. */
struct facts_version {
	struct facts_stamp stamp;
	char text[FACT_TEXT_BYTES_MAX + 1];
};
struct facts_release {
	struct facts_stamp stamp;
	char name[FACT_TEXT_BYTES_MAX + 1];
	char version[FACT_TEXT_BYTES_MAX + 1];
};

struct facts {
	bool ask_system;
	char system[FACT_TEXT_BYTES_MAX + 1];
	char os_name[FACT_TEXT_BYTES_MAX + 1];
	char os_version[FACT_TEXT_BYTES_MAX + 1];
	struct facts_metrics metrics;
};

/* What is kept from look to look. The strings are borrowed. */
struct facts_source {
	struct mono thorough_due; /* when what seldom changes is looked at again */
	bool has_stasysmo;
	const char *root;            /* "" for the system itself */
	const char *nixpkgs_version; /* configured: wins */
	struct facts_version version;
	struct facts_release release;
	struct facts_kernel kernel;
};

/* Every FACTS_THOROUGH_MS also at what changes only with the system, or by hand. */
#define FACTS_THOROUGH_MS 30000
void facts_look(
	struct facts_source *source, struct mono now, struct wall wall, struct facts *facts);
/* A command ended: all of it may have changed. */
void facts_changed(struct facts_source *source);

/* What the repository says. */
struct facts_checkout {
	enum facts_commit verdict;
	char commit[COMMIT_BYTES_MAX + 1];
	char lock_hash[FACT_HASH_BYTES + 1];
};

/* The same of the repository, whose disk need not be that of the system. */
struct facts_checkout_source {
	bool wants_lock;
	const char *repo_dir; /* borrowed */
	struct facts_repository repository;
	struct facts_lock lock;
};
void facts_checkout_look(
	struct facts_checkout_source *source, bool is_thorough, struct facts_checkout *checkout);

/* The parts. to holds COMMIT_BYTES_MAX + 1; the repository may be found in a parent folder. Only a
 * thorough look asks whether it is another one, or keeps its refs in another way. */
enum facts_commit facts_commit(
	struct facts_repository *repository, const char *repo_dir, bool is_thorough, char *to);
/* Where each change of the commit that was found shows: in an entry of the repository's folder or
 * of this one. False: also elsewhere, or nothing was found. */
bool facts_commit_folder(
	const struct facts_repository *repository, char refs[FACTS_GIT_PATH_BYTES]);
/* The running system's. */
void facts_version(const char *root, struct facts_version *version);
void facts_release(const char *root, struct facts_release *release);
bool facts_has_stasysmo(const char *root);
/* From StaSysMo's files if they are there and fresh, else from the kernel. */
void facts_metrics(const char *root, struct wall now, bool has_stasysmo,
	struct facts_kernel *kernel, struct facts_metrics *metrics);
/* The kernel's part, per platform. */
void facts_metrics_kernel(
	const char *root, struct facts_kernel *kernel, struct facts_metrics *metrics);
/* Closes what the kernel's part keeps open. */
void facts_kernel_close(struct facts_kernel *kernel);
/* Where StaSysMo keeps its files on this platform. */
extern const char facts_stasysmo_folder[];
/* Looks whether flake.lock of the repository changed. 0, or -1 with errno and an empty hash. */
int facts_lock(const char *repo_dir, struct facts_lock *lock);

/* The SHA-256 of what is left to read of a file, in hex; to holds FACT_HASH_BYTES + 1. 0, or -1
 * with errno (EFBIG: over 64 MiB). */
int facts_hash(int fd, char *to);

/* This program: what it is, once it runs. */
struct facts_program {
	char hash[FACT_HASH_BYTES + 1];      /* empty: not known */
	char store_path[PATH_BYTES_MAX + 1]; /* in the Nix store; empty where it is elsewhere */
};
void facts_program(struct facts_program *program);

/* What the output of a probe means; false when it means nothing. to holds COMMIT_BYTES_MAX + 1. */
bool facts_probed(struct text name, struct text output, char *to);

/* Looks at a file below root. False, and zeros: there is none. */
bool facts_stamp(const char *root, const char *path, struct facts_stamp *stamp);
bool facts_stamp_is(const struct facts_stamp *stamp, const struct facts_stamp *other);

/* Reads a small file below root as one terminated text, at most room - 1 bytes of it.
 * False when it cannot be read or is larger. */
bool facts_read(const char *root, const char *path, char *to, uint32_t room);
