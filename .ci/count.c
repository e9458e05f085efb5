/* A plugin of QEMU's that says, when the program ends, how many instructions it ran.
 *
 * Debian's package has no header for plugins, so that what is used of it is declared here:
 * https://www.qemu.org/docs/master/devel/tcg-plugins.html */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int,
                                          void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

/* The version of the interface: what is used here is in all of them. */
#ifndef VERSION
#define VERSION 1
#endif
int qemu_plugin_version = VERSION;

static uint64_t instructions;

static void ran(unsigned cpu, void *count) {
    (void)cpu;
    __atomic_fetch_add(&instructions, (uintptr_t)count, __ATOMIC_RELAXED);
}

/* A block of instructions was translated: it will add their number each time it runs. */
static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    void *count = (void *)qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, ran, 0, count);
}

static void ended(plugin_id id, void *data) {
    (void)id, (void)data;
    fprintf(stderr, "instructions: %llu\n", (unsigned long long)instructions);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
