// Records through pipes and sockets. A record on its way is a header and the
// bytes; one of length 0 is the end and tells how many there were.
#include "torture.h"

struct header {
	unsigned long number, length;
	long rank; // of the sender, and how far that one is
	unsigned long done[MAX_ACTIVITIES][PARTS];
};

size_t record(unsigned long channel, unsigned long n, unsigned char *to) {
	struct sequence s = sequence(channel << 32 ^ n);
	size_t length = 1 + draw(&s, draw(&s, 4) ? 200 : RECORD);
	for (size_t i = 0; i < length; i++)
		to[i] = draw(&s, 256);
	return length;
}

void *send_records(void *arg) {
	struct channel *c = arg;
	struct sequence s = sequence(c->number);
	unsigned char b[sizeof(struct header) + RECORD];
	for (int last = 0; !last; c->records++) {
		struct header h = {.number = c->records, .rank = rank};
		last = ending();
		for (int i = 0; i < activity_count * PARTS; i++)
			h.done[i / PARTS][i % PARTS] = atomic_load(&shared->done[rank][i / PARTS][i % PARTS]);
		if (!last)
			h.length = record(c->number, c->records, b + sizeof h);
		memcpy(b, &h, sizeof h);
		write_all(c->fd, b, sizeof h + h.length);
		if (!last)
			nap(&s, c->nap_us);
	}
	return NULL;
}

// learn notes how far the other rank is; of connections one may be behind the others.
static void learn(struct header *h) {
	for (int i = 0; h->rank != rank && i < activity_count * PARTS; i++) {
		atomic_ulong *have = &shared->done[h->rank][i / PARTS][i % PARTS];
		if (atomic_load(have) < h->done[i / PARTS][i % PARTS])
			atomic_store(have, h->done[i / PARTS][i % PARTS]);
	}
}

void *receive_records(void *arg) {
	struct channel *c = arg;
	struct sequence s = sequence(c->number + 1);
	unsigned char got[RECORD], want[RECORD];
	for (struct header h = {.length = 1}; h.length > 0; c->records++) {
		read_all(c->fd, &h, sizeof h);
		if (h.number != c->records)
			broken("channel %lu: record %lu came, and it was the turn of %lu", c->number, h.number, c->records);
		if (h.length > 0) {
			if (h.length != record(c->number, h.number, want))
				broken("channel %lu: record %lu has %lu bytes", c->number, h.number, h.length);
			read_all(c->fd, got, h.length);
			if (memcmp(got, want, h.length) != 0)
				broken("channel %lu: record %lu has other bytes than were sent", c->number, h.number);
		}
		if (c->relay >= 0) {
			write_all(c->relay, &h, sizeof h);
			write_all(c->relay, got, h.length);
			continue;
		}
		learn(&h);
		step();
		if (h.length > 0)
			nap(&s, c->nap_us);
	}
	return NULL;
}
