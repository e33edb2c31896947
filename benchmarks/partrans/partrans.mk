# The particle transport, for each MPI that has a compiler here, and the
# libraries that stand for a toolkit's:
# bin/partrans/{mpich,openmpi}/partrans, bin/partrans/lib/libmaterial{0,1,...}.so

PARTRANS_LIBRARIES ?= 60
PARTRANS_SRC := benchmarks/partrans/src
PARTRANS_BIN := bin/partrans
PARTRANS_PROGRAMS := $(foreach mpi,$(NAS_MPIS),$(PARTRANS_BIN)/$(mpi)/partrans)
PARTRANS_NUMBERS := $(shell seq 0 $$(($(PARTRANS_LIBRARIES) - 1)))
PARTRANS_SHARED := $(PARTRANS_NUMBERS:%=$(PARTRANS_BIN)/lib/libmaterial%.so)
PARTRANS_CFLAGS := -std=c11 -O2 $(NAS_WARNINGS)

.PHONY: partrans partrans-clean
partrans: $(PARTRANS_PROGRAMS) $(PARTRANS_SHARED)

$(PARTRANS_BIN)/%/partrans: $(wildcard $(PARTRANS_SRC)/*.[ch]) benchmarks/partrans/partrans.mk
	@mkdir -p $(@D)
	$(NAS_MPICC_$*) $(PARTRANS_CFLAGS) -o $@ $(filter-out %/material.c,$(filter %.c,$^)) -ldl -lm

# One source, as many libraries as are asked for.
$(PARTRANS_SHARED): $(PARTRANS_BIN)/lib/libmaterial%.so: $(PARTRANS_SRC)/material.c $(PARTRANS_SRC)/material.h $(PARTRANS_SRC)/random.h benchmarks/partrans/partrans.mk
	@mkdir -p $(@D)
	@$(CC) $(PARTRANS_CFLAGS) -fPIC -shared -fvisibility=hidden -DMATERIAL=$* -o $@ $<

partrans-clean:
	rm -rf $(PARTRANS_BIN)
