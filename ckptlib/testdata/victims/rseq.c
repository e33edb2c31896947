// A thread that is in a restartable sequence all the time: whenever it is
// aborted it begins another.
#include "victim.h"
#include <sys/rseq.h>

static atomic_int entries;

static void section(void) {
	struct rseq *r = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	__asm__ volatile goto(
		".pushsection __rseq_cs, \"aw\"\n .balign 32\n 3: .long 0, 0\n .quad 1f, 2f-1f, 4f\n .popsection\n"
		"lea 3b(%%rip), %%rax\n mov %%rax, %0\n"
		"1: pause\n jmp 1b\n"
		"2: nop\n"
		".long 0x53053053\n" // RSEQ_SIG
		"4: jmp %l[aborted]\n"
		: : "m"(r->rseq_cs) : "rax", "memory" : aborted);
aborted:
	return;
}

static void *run(void *arg) {
	for (;; entries++)
		section();
	return NULL;
}

int main(void) {
	pthread_t pt;
	pthread_create(&pt, NULL, run, NULL);
	say("ready");
	while (question()) {
		if (is("registered"))
			say("%d", __rseq_size != 0);
		else if (is("entries"))
			say("entries=%d", entries);
	}
	return 0;
}
