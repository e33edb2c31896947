// Threads that hold values in registers only, while they spin on a flag.
#include "victim.h"
#include <immintrin.h>

static volatile int go;
static unsigned char in[64 * 32], out[8][64 * 32];
static unsigned long kin[8] = {0, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0x7777}, kout[8];
static const char *names[] = {"general", "x87", "mxcsr", "sse", "avx", "avx512"};
static atomic_int spinning;

#define WAIT "1: pause\n cmpl $0, %2\n je 1b\n"
#define ALL16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define HIGH16(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define SSE_IN(n) "movups " #n "*16(%0), %%xmm" #n "\n"
#define SSE_OUT(n) "movups %%xmm" #n ", " #n "*16(%1)\n"
#define AVX_IN(n) "vmovups " #n "*32(%0), %%ymm" #n "\n"
#define AVX_OUT(n) "vmovups %%ymm" #n ", " #n "*32(%1)\n"
#define ZMM_IN(n) "vmovups " #n "*64(%0), %%zmm" #n "\n"
#define ZMM_OUT(n) "vmovups %%zmm" #n ", " #n "*64(%1)\n"

static void general(unsigned char *o) {
	unsigned long r[14];
	__asm__ volatile("push %%rbp\n push %%rbx\n"
		"mov $101,%%rax\n mov $102,%%rbx\n mov $103,%%rcx\n mov $104,%%rdx\n mov $105,%%rsi\n"
		"mov $106,%%r8\n mov $107,%%r9\n mov $108,%%r10\n mov $109,%%r11\n mov $110,%%r12\n mov $111,%%r13\n"
		"mov $112,%%r14\n mov $113,%%r15\n mov $114,%%rbp\n std\n"
		"1: pause\n cmpl $0, go(%%rip)\n je 1b\n"
		"pushf\n cld\n"
		"mov %%rax,(%0)\n mov %%rbx,8(%0)\n mov %%rcx,16(%0)\n mov %%rdx,24(%0)\n mov %%rsi,32(%0)\n mov %%r8,40(%0)\n"
		"mov %%r9,48(%0)\n mov %%r10,56(%0)\n mov %%r11,64(%0)\n mov %%r12,72(%0)\n mov %%r13,80(%0)\n mov %%r14,88(%0)\n"
		"mov %%r15,96(%0)\n mov %%rbp,104(%0)\n pop %%rax\n test $0x400,%%rax\n jnz 2f\n movq $0,(%0)\n 2:\n"
		"pop %%rbx\n pop %%rbp\n"
		:
		: "D"(r)
		: "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	for (int i = 0; i < 14; i++)
		if (r[i] != 101 + i)
			wrong("general register %d is %lu", i, r[i]);
}

static void x87(unsigned char *o) {
	unsigned short cw = 0x0c7f, got;
	long double pi, one;
	__asm__ volatile("fldcw %4\n fld1\n fldpi\n 1: pause\n cmpl $0, %2\n je 1b\n fstpt %0\n fstpt %1\n fnstcw %3\n"
		: "=m"(pi), "=m"(one) : "m"(go), "m"(got), "m"(cw) : "memory");
	if (pi != 3.14159265358979323851280895940618620443274267017841L || one != 1 || got != cw)
		wrong("x87: %Lf %Lf %x", pi, one, got);
}

static void mxcsr(unsigned char *o) {
	_mm_setcsr(0x1f80 | 0x6000 | 0x8000); // towards zero, flush to zero
	while (!go)
		;
	if ((_mm_getcsr() & 0xffc0) != (0x1f80 | 0x6000 | 0x8000))
		wrong("mxcsr is %x", _mm_getcsr());
}

static void sse(unsigned char *o) {
	__asm__ volatile(ALL16(SSE_IN) WAIT ALL16(SSE_OUT) : : "r"(in), "r"(o), "m"(go) : "memory",
		"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	if (memcmp(in, o, 16 * 16))
		wrong("sse registers differ");
}

static void avx(unsigned char *o) {
	__asm__ volatile(ALL16(AVX_IN) WAIT ALL16(AVX_OUT) "vzeroupper" : : "r"(in), "r"(o), "m"(go) : "memory",
		"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	if (memcmp(in, o, 16 * 32))
		wrong("avx registers differ");
}

__attribute__((target("avx512f,avx512bw"))) static void avx512(unsigned char *o) {
	__asm__ volatile(ALL16(ZMM_IN) HIGH16(ZMM_IN)
		"kmovq 8(%3), %%k1\n kmovq 16(%3), %%k2\n kmovq 24(%3), %%k3\n kmovq 56(%3), %%k7\n" WAIT
		ALL16(ZMM_OUT) HIGH16(ZMM_OUT)
		"kmovq %%k1, 8(%4)\n kmovq %%k2, 16(%4)\n kmovq %%k3, 24(%4)\n kmovq %%k7, 56(%4)\n vzeroall"
		: : "r"(in), "r"(o), "m"(go), "r"(kin), "r"(kout) : "memory", "k1", "k2", "k3", "k7",
		"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	if (memcmp(in, o, 32 * 64))
		wrong("avx-512 registers differ");
	for (int i = 1; i < 8; i++)
		if (kin[i] != kout[i] && i != 4 && i != 5 && i != 6)
			wrong("mask register %d is %lx", i, kout[i]);
}

static void (*fns[])(unsigned char *) = {general, x87, mxcsr, sse, avx, avx512};

static void *run(void *arg) {
	int i = (long)arg;
	spinning++;
	fns[i](out[i]);
	return NULL;
}

int main(void) {
	int n = 4;
	pthread_t pt[6];
	if (__builtin_cpu_supports("avx"))
		n = 5;
	if (__builtin_cpu_supports("avx512bw"))
		n = 6;
	for (int i = 0; i < sizeof in; i++)
		in[i] = i * 7 + i / 256 + 1;
	for (long i = 0; i < n; i++)
		pthread_create(&pt[i], NULL, run, (void *)i);
	while (spinning < n)
		usleep(1000);
	say("ready");
	while (question()) {
		if (is("kinds")) {
			say("%d up to %s", n, names[n - 1]);
		} else if (is("check")) {
			go = 1;
			for (int i = 0; i < n; i++)
				pthread_join(pt[i], NULL);
			report();
		}
	}
	return 0;
}
