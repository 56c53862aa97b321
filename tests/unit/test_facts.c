/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/facts.h"

#define HASH_A "71789be985f56d4cb26b34c576e2b5ff3fa36160"
#define HASH_B "99534e2b11e71009577db0fee77b6cbdc657fd1d"

static char root[64];

static void make(void)
{
	snprintf(root, sizeof(root), "/tmp/nixfleet-facts-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(root), NULL));
}

static int unlink_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
	(void)stat;
	(void)kind;
	(void)where;
	return remove(path);
}

static void finish(void)
{
	nftw(root, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(facts, .init = make, .fini = finish);

static const char *in_root(const char *path)
{
	static char full[4][512];
	static int turn;
	char *to = full[turn++ % 4];
	snprintf(to, sizeof(full[0]), "%s/%s", root, path);
	return to;
}

/* Writes a file and the folders above it. */
static void put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	FILE *file = fopen(full, "we");
	cr_assert(ne(ptr, file, NULL));
	fputs(text, file);
	fclose(file);
}

/* What was kept from the looks before must not change what is found, nor that a look is not a
 * thorough one. */
static char *commit_at(const char *dir, enum facts_commit verdict)
{
	static char at[512];
	static struct facts_repository kept, thorough;
	struct facts_repository none = {.folder = ""};
	static char found[COMMIT_BYTES_MAX + 1];
	char other[COMMIT_BYTES_MAX + 1];
	cr_assert(eq(int, (int)facts_commit(&none, dir, false, found), (int)verdict));
	cr_assert(eq(int, (int)facts_commit(&thorough, dir, true, other), (int)verdict));
	cr_assert(eq(str, other, found));
	if (strcmp(at, dir) != 0)
		kept = none; /* a host has one */
	snprintf(at, sizeof(at), "%s", dir);
	cr_assert(eq(int, (int)facts_commit(&kept, dir, false, other), (int)verdict));
	cr_assert(eq(str, other, found));
	return found;
}

static char *commit(const char *dir, enum facts_commit verdict)
{
	return commit_at(in_root(dir), verdict);
}

Test(facts, no_repository_is_none)
{
	cr_assert(eq(str, commit(".", FACTS_COMMIT_NONE), ""));
	cr_assert(eq(str, commit("absent", FACTS_COMMIT_NONE), ""));
	commit_at("", FACTS_COMMIT_NONE);
}

Test(facts, a_loose_ref)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
}

Test(facts, a_folder_below_the_top)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	put("r/hosts/x/file", "");
	cr_assert(eq(str, commit("r/hosts/x", FACTS_COMMIT_KNOWN), HASH_A));
}

Test(facts, a_detached_head)
{
	put("r/.git/HEAD", HASH_B "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_B));
}

Test(facts, a_packed_ref)
{
	put("r/.git/HEAD", "ref: refs/heads/a/main\n");
	put("r/.git/packed-refs",
		"# pack-refs with: peeled fully-peeled sorted\n" HASH_B
		" refs/heads/a/main-2\n" HASH_A " refs/heads/a/main\n^" HASH_B "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
}

/* Whoever owns the repository must not be able to hold the worker. */
Test(facts, what_is_no_file_is_not_waited_for, .timeout = 10)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	cr_assert(eq(int, mkfifo(in_root("r/.git/packed-refs"), 0600), 0));
	cr_assert(eq(int, mkfifo(in_root("r/.git/config"), 0600), 0));
	cr_assert(eq(str, commit("r", FACTS_COMMIT_NONE), ""));
}

Test(facts, a_loose_ref_is_newer_than_a_packed_one)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/packed-refs", HASH_B " refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
}

Test(facts, nothing_committed_yet)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/config", "[core]\n\tbare = false\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_NONE), ""));
}

Test(facts, a_linked_worktree)
{
	char text[256];
	put("main/.git/HEAD", "ref: refs/heads/main\n");
	put("main/.git/refs/heads/main", HASH_B "\n");
	put("main/.git/refs/heads/side", HASH_A "\n");
	put("main/.git/worktrees/side/HEAD", "ref: refs/heads/side\n");
	put("main/.git/worktrees/side/commondir", "../..\n");
	snprintf(text, sizeof(text), "gitdir: %s\n", in_root("main/.git/worktrees/side"));
	put("side/.git", text);
	cr_assert(eq(str, commit("side", FACTS_COMMIT_KNOWN), HASH_A));
	put("relative/.git", "gitdir: ../main/.git/worktrees/side\n");
	cr_assert(eq(str, commit("relative", FACTS_COMMIT_KNOWN), HASH_A));
}

Test(facts, refs_in_another_storage_are_gits_to_tell)
{
	put("r/.git/HEAD", "ref: refs/heads/.invalid\n");
	put("r/.git/config", "[core]\n\tx = 1\n[extensions]\n\tRefStorage = reftable\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_ASK), ""));
	put("r/.git/config", "[extensions]\nrefstorage=files\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_NONE), ""));
}

Test(facts, another_repository_in_the_same_place)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
	cr_assert(eq(int, rename(in_root("r/.git"), in_root("old")), 0));
	put("r/.git", "gitdir: ../other\n");
	put("other/HEAD", HASH_B "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_B));
}

Test(facts, only_a_thorough_look_sees_another_storage)
{
	struct facts_repository kept = {.folder = ""};
	char found[COMMIT_BYTES_MAX + 1];
	const char *dir = in_root("r");
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	facts_commit(&kept, dir, false, found);
	put("r/.git/config", "[extensions]\nrefstorage=reftable\n");
	cr_assert(eq(int, (int)facts_commit(&kept, dir, false, found), FACTS_COMMIT_KNOWN));
	cr_assert(eq(int, (int)facts_commit(&kept, dir, true, found), FACTS_COMMIT_ASK));
	cr_assert(eq(int, (int)facts_commit(&kept, dir, false, found), FACTS_COMMIT_ASK));
}

Test(facts, a_ref_that_is_packed_later)
{
	put("r/.git/HEAD", "ref: refs/heads/main\n");
	put("r/.git/refs/heads/main", HASH_A "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
	put("r/.git/packed-refs", HASH_A " refs/heads/main\n");
	cr_assert(eq(int, unlink(in_root("r/.git/refs/heads/main")), 0));
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
	cr_assert(eq(int, unlink(in_root("r/.git/packed-refs")), 0));
	put("r/.git/packed-refs", HASH_B " refs/heads/main\n" HASH_A " refs/heads/other\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_B));
	put("r/.git/refs/heads/main", HASH_A "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_A));
	put("r/.git/HEAD", HASH_B "\n");
	cr_assert(eq(str, commit("r", FACTS_COMMIT_KNOWN), HASH_B));
}

Test(facts, what_seldom_changes_is_seldom_looked_at)
{
	struct facts facts;
	struct mono now = {NS_PER_S};
	struct facts_source source = {.root = root, .nixpkgs_version = ""};
	put("run/current-system/nixos-version", "1\n");
	facts_look(&source, now, (struct wall){0}, &facts);
	cr_assert(eq(str, facts.system, "1"));
	cr_assert(not(facts.ask_system));
	put("run/current-system/nixos-version", "2.0\n");
	facts_look(&source, now, (struct wall){0}, &facts);
	cr_assert(eq(str, facts.system, "1"));
	facts_changed(&source);
	facts_look(&source, now, (struct wall){0}, &facts);
	cr_assert(eq(str, facts.system, "2.0"));
	put("run/current-system/nixos-version", "3.00\n");
	facts_look(&source, mono_after(now, FACTS_THOROUGH_MS), (struct wall){0}, &facts);
	cr_assert(eq(str, facts.system, "3.00"));
	facts_kernel_close(&source.kernel);
}

Test(facts, the_lock_is_looked_at_thoroughly_and_with_another_commit)
{
	struct facts_checkout checkout;
	struct facts_checkout_source source = {.repo_dir = in_root("r"), .wants_lock = true};
	facts_checkout_look(&source, false, &checkout);
	cr_assert(eq(int, (int)checkout.verdict, FACTS_COMMIT_NONE));
	put("r/flake.lock", "abc");
	facts_checkout_look(&source, false, &checkout);
	cr_assert(eq(str, checkout.lock_hash, ""));
	put("r/.git/HEAD", HASH_A "\n");
	facts_checkout_look(&source, false, &checkout);
	cr_assert(eq(str, checkout.commit, HASH_A));
	cr_assert(eq(chr, checkout.lock_hash[0], 'b'));
	put("r/flake.lock", "abcd");
	facts_checkout_look(&source, false, &checkout);
	cr_assert(eq(chr, checkout.lock_hash[0], 'b'));
	facts_checkout_look(&source, true, &checkout);
	cr_assert(eq(chr, checkout.lock_hash[0], '8'));
}

Test(facts, a_lock_that_nobody_wants_is_not_looked_at)
{
	struct facts_checkout checkout;
	struct facts_checkout_source source = {.repo_dir = in_root("r")};
	put("r/flake.lock", "abc");
	facts_checkout_look(&source, true, &checkout);
	cr_assert(eq(str, checkout.lock_hash, ""));
}

Test(facts, odd_heads_are_gits_to_tell)
{
	put("r/.git/HEAD", "ref: refs/heads/../../../etc/passwd\n");
	commit("r", FACTS_COMMIT_ASK);
	put("r/.git/HEAD", "ref: /etc/passwd\n");
	commit("r", FACTS_COMMIT_ASK);
	put("r/.git/HEAD", "garbage\n");
	commit("r", FACTS_COMMIT_ASK);
	put("r/.git/HEAD", "ref: refs/heads/loop\n");
	put("r/.git/refs/heads/loop", "ref: refs/heads/loop\n");
	commit("r", FACTS_COMMIT_ASK);
	unlink(in_root("r/.git/HEAD"));
	commit("r", FACTS_COMMIT_ASK);
}

Test(facts, real_git_agrees)
{
	char command[1024];
	char said[128] = "";
	static const char *const forms[] = {"true", "git pack-refs --all",
		"git checkout -q --detach", "git checkout -qb some/branch",
		"git worktree add -q ../other && cd ../other"};
	snprintf(command, sizeof(command),
		"command -v git >/dev/null && mkdir %s/real && cd %s/real && git init -q . && git "
		"-c user.name=x -c user.email=x@y commit -q --allow-empty -m x",
		root, root);
	if (system(command) != 0)
		cr_skip("git is not installed");
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char dir[256] = "";
		snprintf(command, sizeof(command), "cd %s/real && %s && git rev-parse HEAD && pwd",
			root, forms[i]);
		FILE *pipe = popen(command, "r");
		cr_assert(ne(ptr, fgets(said, sizeof(said), pipe), NULL));
		cr_assert(ne(ptr, fgets(dir, sizeof(dir), pipe), NULL));
		cr_assert(eq(int, pclose(pipe), 0));
		said[strcspn(said, "\n")] = dir[strcspn(dir, "\n")] = '\0';
		cr_assert(eq(str, commit_at(dir, FACTS_COMMIT_KNOWN), said));
	}
}

Test(facts, the_systems_version)
{
	struct facts_version version = {.text = ""};
	facts_version(root, &version);
	cr_assert(eq(str, version.text, ""));
	put("run/current-system/nixos-version", "24.11.717296.abc (Vicuna)\n");
	facts_version(root, &version);
	cr_assert(eq(str, version.text, "24.11.717296.abc"));
	snprintf(version.text, sizeof(version.text), "kept");
	facts_version(root, &version);
	cr_assert(eq(str, version.text, "kept"));
	cr_assert(eq(int, unlink(in_root("run/current-system/nixos-version")), 0));
	facts_version(root, &version);
	cr_assert(eq(str, version.text, ""));
}

Test(facts, the_systems_name)
{
	struct facts_release release = {.name = ""};
	facts_release(root, &release);
	cr_assert(eq(str, release.name, ""));
	put("usr/lib/os-release", "PRETTY_NAME=\"No\"\nNAME='Fedora Linux'\nVERSION_ID=41\n");
	facts_release(root, &release);
	cr_assert(eq(str, release.name, "Fedora Linux"));
	cr_assert(eq(str, release.version, "41"));
	put("etc/os-release", "NAME=NixOS\r\nVERSION_ID=\"25.05\"\n");
	facts_release(root, &release);
	cr_assert(eq(str, release.name, "NixOS"));
	cr_assert(eq(str, release.version, "25.05"));
	snprintf(release.name, sizeof(release.name), "kept");
	facts_release(root, &release);
	cr_assert(eq(str, release.name, "kept"));
}

Test(facts, probes_mean_something_or_nothing)
{
	static const struct {
		const char *name;
		const char *output;
		bool good;
		const char *value;
	} rows[] = {
		{"git-head", HASH_A "\n", true, HASH_A},
		{"git-head", "fatal: not a repository\n", false, ""},
		{"git-head", "", false, ""},
		{"nixos-version", "24.11.717296 (Vicuna)\n", true, "24.11.717296"},
		{"nixos-version", "{\"nixosVersion\":\"25.05.1\",\"x\":null}\n", true, "25.05.1"},
		{"nixos-version", "{\"x\":1}\n", false, ""},
		{"other", "x", false, ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[COMMIT_BYTES_MAX + 1];
		cr_assert(
			eq(int, facts_probed(text_of(rows[i].name), text_of(rows[i].output), value),
				rows[i].good));
		cr_assert(eq(str, value, (char *)(uintptr_t)rows[i].value));
	}
}

static void put_stasysmo(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", facts_stasysmo_folder + 1, name);
	put(path, text);
}

Test(facts, fresh_stasysmo_files_win)
{
	struct facts_kernel kernel = {.is_open = false};
	struct facts_metrics metrics;
	struct wall now = {INT64_C(1700000020) * (int64_t)NS_PER_S};
	put_stasysmo("timestamp", "1700000000\n");
	put_stasysmo("cpu", "12\n");
	put_stasysmo("ram", "34.5\n");
	put_stasysmo("load", "0.70\n");
	facts_metrics(root, now, facts_has_stasysmo(root), &kernel, &metrics);
	cr_assert(metrics.is_known);
	cr_assert(ieee_ulp_eq(dbl, metrics.cpu, 12, 2));
	cr_assert(ieee_ulp_eq(dbl, metrics.ram, 34.5, 2));
	cr_assert(not(metrics.has_swap));
	cr_assert(metrics.has_load);
	now.ns += INT64_C(11) * (int64_t)NS_PER_S;
	facts_metrics(root, now, facts_has_stasysmo(root), &kernel, &metrics);
	cr_assert(not(metrics.is_known));
	facts_kernel_close(&kernel);
}

Test(facts, the_kernel_tells_the_rest)
{
	struct facts_kernel kernel = {.is_open = false};
	struct facts_metrics metrics;
	double before = 0, after = 0;
	if (strncmp(facts_stasysmo_folder, "/dev/shm", 8) != 0)
		cr_skip("this kernel tells its load without files");
	put("proc/stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n");
	put("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n"
			    "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
	cr_assert(eq(int, getloadavg(&before, 1), 1));
	facts_metrics(root, (struct wall){0}, false, &kernel, &metrics);
	cr_assert(metrics.is_known);
	cr_assert(ieee_ulp_eq(dbl, metrics.cpu, 20, 2));
	cr_assert(ieee_ulp_eq(dbl, metrics.ram, 75, 2));
	cr_assert(metrics.has_swap);
	/* It moves every five seconds. */
	cr_assert(eq(int, getloadavg(&after, 1), 1));
	cr_assert(metrics.has_load);
	cr_assert(fabs(metrics.load - before) < 0.02 || fabs(metrics.load - after) < 0.02);
	put("proc/stat", "cpu  190 0 100 710 100 0 0 0 0 0\n");
	facts_metrics(root, (struct wall){0}, false, &kernel, &metrics);
	cr_assert(ieee_ulp_eq(dbl, metrics.cpu, 90, 2));
	facts_kernel_close(&kernel);
}

Test(facts, the_locks_hash_is_computed_again_when_it_changed)
{
	struct facts_lock lock = {0};
	cr_assert(eq(int, facts_lock(in_root("."), &lock), -1));
	cr_assert(eq(str, lock.hash, ""));
	put("flake.lock", "abc");
	cr_assert(eq(int, facts_lock(in_root("."), &lock), 0));
	cr_assert(eq(str, lock.hash,
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	snprintf(lock.hash, sizeof(lock.hash), "kept");
	cr_assert(eq(int, facts_lock(in_root("."), &lock), 0));
	cr_assert(eq(str, lock.hash, "kept"));
	unlink(in_root("flake.lock"));
	put("flake.lock", "abcd");
	cr_assert(eq(int, facts_lock(in_root("."), &lock), 0));
	cr_assert(eq(str, lock.hash,
		"88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"));
}
